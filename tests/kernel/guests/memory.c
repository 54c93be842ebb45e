/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The calls that change memory, and that contents are where they belong. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

#define PAGE 4096L

static char *map(void *where, long pages, int prot, int flags)
{
    return mmap(where, (size_t)(pages * PAGE), prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void check_fixed(void)
{
    char *area = map(NULL, 8, PROT_READ | PROT_WRITE, 0);

    memset(area, 'a', 8 * PAGE);
    REPORT(map(area + 2 * PAGE, 2, PROT_READ | PROT_WRITE, MAP_FIXED) == area + 2 * PAGE);
    REPORT(area[2 * PAGE] == 0 && area[2 * PAGE - 1] == 'a' && area[4 * PAGE] == 'a');
    REPORT(map(area, 1, PROT_READ, MAP_FIXED_NOREPLACE) == MAP_FAILED && errno == EEXIST);
    REPORT(munmap(area + PAGE, 6 * PAGE) == 0);
    REPORT(map(area + PAGE, 6, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE) == area + PAGE);
    REPORT(area[PAGE] == 0 && area[0] == 'a' && area[7 * PAGE] == 'a');
    REPORT(munmap(area, 8 * PAGE) == 0 && munmap(area, 8 * PAGE) == 0);
    REPORT(mprotect(area, PAGE, PROT_READ) == -1 && errno == ENOMEM);
    REPORT(map(area + 1, 1, PROT_READ, MAP_FIXED) == MAP_FAILED && errno == EINVAL);
    REPORT(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    REPORT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
    REPORT(munmap((void *)(unsigned long)-PAGE, PAGE) == -1 && errno == EINVAL);
}

static void check_remap(void)
{
    char *area = map(NULL, 5, PROT_READ | PROT_WRITE, 0);
    char *wall, *moved;

    strcpy(area, "first");
    strcpy(area + 3 * PAGE, "last");
    wall = map(area + 4 * PAGE, 1, PROT_READ, MAP_FIXED);
    REPORT(wall == area + 4 * PAGE);
    REPORT(mremap(area, 4 * PAGE, 8 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
    moved = mremap(area, 4 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    REPORT(moved != MAP_FAILED && moved != area);
    REPORT(strcmp(moved, "first") == 0 && strcmp(moved + 3 * PAGE, "last") == 0 && moved[15 * PAGE] == 0);
    area = mremap(moved, 16 * PAGE, 2 * PAGE, 0);
    REPORT(area == moved && strcmp(area, "first") == 0);
    REPORT(mremap(area, 2 * PAGE, 6 * PAGE, 0) == area && area[5 * PAGE] == 0);
    wall = map(NULL, 6, PROT_NONE, 0);
    moved = mremap(area, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, wall);
    REPORT(moved == wall && strcmp(moved, "first") == 0);
    munmap(moved, 6 * PAGE);
    REPORT(mremap(moved, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}

/* To the size that it has, in the middle of more; and shorter, over the border of two mappings. */
static void check_same_size(void)
{
    char *area = map(NULL, 6, PROT_READ | PROT_WRITE, 0);

    area[2 * PAGE] = 5;
    REPORT(mremap(area + 2 * PAGE, PAGE, PAGE, 0) == area + 2 * PAGE);
    REPORT(mremap(area + 2 * PAGE, PAGE, 512, MREMAP_MAYMOVE) == area + 2 * PAGE && area[2 * PAGE] == 5);
    REPORT(mprotect(area + 3 * PAGE, PAGE, PROT_READ) == 0);
    REPORT(mremap(area, 6 * PAGE, PAGE, 0) == area);
    REPORT(msync(area, PAGE, MS_ASYNC) == 0 && msync(area + PAGE, PAGE, MS_ASYNC) == -1 && errno == ENOMEM);
    REPORT(munmap(area, PAGE) == 0);
    REPORT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    REPORT(errno == EINVAL);
}

static void check_growing(void)
{
    size_t size = 1000;
    char *buffer = malloc(size);
    int right = 1;

    memset(buffer, 1, size);
    while (size < (8u << 20)) {
        buffer = realloc(buffer, size * 2);
        memset(buffer + size, 2, size);
        size *= 2;
    }
    for (size_t i = 0; i < size; i++)
        right = right && buffer[i] == (i < 1000 ? 1 : 2);
    REPORT(right);
    free(buffer);
}

static void check_break(void)
{
    char *start = sbrk(0);

    REPORT(sbrk(3 * PAGE + 100) == start);
    start[3 * PAGE + 99] = 7;
    REPORT(sbrk(-2 * PAGE) == start + 3 * PAGE + 100);
    REPORT(sbrk(2 * PAGE) == start + PAGE + 100);
    REPORT(start[3 * PAGE + 99] == 0);
    REPORT(sbrk(-(3 * PAGE + 100)) != (void *)-1 && sbrk(0) == start);
}

static void check_files(void)
{
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *shared, *private;
    char text[6] = "";

    REPORT(ftruncate(fd, 3 * PAGE) == 0);
    shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
    strcpy(shared + PAGE, "hello");
    REPORT(strcmp(private, "hello") == 0);
    strcpy(private, "other");
    REPORT(strcmp(shared + PAGE, "hello") == 0);
    REPORT(pread(fd, text, 5, PAGE) == 5 && strcmp(text, "hello") == 0);
    REPORT(msync(shared, 3 * PAGE, MS_SYNC) == 0);
    shared = mremap(shared, 3 * PAGE, PAGE, 0);
    shared = mremap(shared, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    REPORT(shared != MAP_FAILED && strcmp(shared + PAGE, "hello") == 0);
    close(fd);
    fd = open("mapped", O_RDONLY);
    REPORT(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
    close(fd);
}

static void check_advice(void)
{
    char *area = map(NULL, 4, PROT_READ | PROT_WRITE, 0);
    unsigned char present[4];

    memset(area, 9, 4 * PAGE);
    REPORT(madvise(area, 2 * PAGE, MADV_DONTNEED) == 0);
    REPORT(area[0] == 0 && area[2 * PAGE] == 9);
    REPORT(madvise(area, PAGE, 9999) == -1 && errno == EINVAL);
    REPORT(madvise(area, PAGE, MADV_RANDOM) == 0);
    REPORT(mincore(area, 4 * PAGE, present) == 0 && (present[2] & 1));
    munmap(area, 4 * PAGE);
    REPORT(mincore(area, 4 * PAGE, present) == -1 && errno == ENOMEM);
}

static void check_execution(void)
{
    /* mov $42, %eax; ret */
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    char *area = map(NULL, 1, PROT_READ | PROT_WRITE, 0);

    memcpy(area, code, sizeof(code));
    REPORT(mprotect(area, PAGE, PROT_READ | PROT_EXEC) == 0);
    REPORT(((int (*)(void))area)() == 42);
}

static int calls_right(const char *code, int calls)
{
    const long parent = getppid();
    int right = 0;

    for (int i = 0; i < calls; i++)
        right += ((long (*)(void))code)() == parent;
    return right == calls;
}

/* Code whose call was made so often that it may have been changed: what is moved, written or made zeros is the
 * program's.
 */
static void check_hot_code(void)
{
    /* mov $SYS_getppid, %eax; syscall; mov %rax, %rax; ret */
    static const unsigned char code[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0x48, 0x89, 0xc0, 0xc3};
    char *area = map(NULL, 4, PROT_READ | PROT_WRITE, 0);
    unsigned char saved[sizeof(code)];
    char *moved;
    int fd;

    memcpy(area, code, sizeof(code));
    REPORT(mprotect(area, PAGE, PROT_READ | PROT_EXEC) == 0);
    REPORT(calls_right(area, 500));
    fd = open("code", O_RDWR | O_CREAT | O_TRUNC, 0600);
    REPORT(write(fd, area, sizeof(code)) == sizeof(code));
    REPORT(pread(fd, saved, sizeof(code), 0) == sizeof(code) && memcmp(saved, code, sizeof(code)) == 0);
    close(fd);
    moved = mremap(area, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 3 * PAGE);
    REPORT(moved == area + 3 * PAGE && calls_right(moved, 500));
    REPORT(madvise(moved, PAGE, MADV_DONTNEED) == 0 && moved[0] == 0 && moved[5] == 0);
    munmap(moved, PAGE);
}

int main(void)
{
    check_fixed();
    check_remap();
    check_same_size();
    check_growing();
    check_break();
    check_files();
    check_advice();
    check_execution();
    check_hot_code();
    return report_status();
}
