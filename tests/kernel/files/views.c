/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Large reads of the same place again and again, while the file is written, cut and grows; and while another does that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#define PAGE  4096
#define LARGE 65536
#define SIZE  300000
#define AGAIN 20
#define CUTS  300
#define LOOKS 1500

static char content[SIZE];
static char *buffer; /* LARGE bytes, and then nothing */
static int file;

static char byte_at(size_t at, unsigned int version)
{
    return (char)(1 + (at / 7 + at / PAGE + version) % 120);
}

static void fill(unsigned int version)
{
    for (size_t i = 0; i < SIZE; i++)
        content[i] = byte_at(i, version);
    REPORT(pwrite(file, content, SIZE, 0) == SIZE);
}

/* How many bytes a read gives, all of them right; or -1. */
static long look(size_t from, size_t length)
{
    ssize_t got;

    memset(buffer, 0, LARGE);
    got = pread(file, buffer, length, (off_t)from);
    if (got > 0 && memcmp(buffer, content + from, (size_t)got) != 0)
        return -1;
    for (size_t i = got > 0 ? (size_t)got : 0; i < LARGE; i++) {
        if (buffer[i] != 0)
            return -1;
    }
    return got;
}

static void look_again(size_t from, size_t length)
{
    bool all = true;

    for (int i = 0; i < AGAIN; i++)
        all = all && look(from, length) == (long)length;
    REPORT(all);
}

static void check_changes(void)
{
    fill(0);
    look_again(0, LARGE);
    look_again(12345, 50001);
    for (unsigned int version = 1; version < 5; version++) {
        fill(version);
        look_again(PAGE - 1, LARGE);
    }
    /* From another descriptor, in the middle. */
    content[70000] = 'x';
    content[70001] = 'y';
    REPORT(pwrite(open("views", O_WRONLY), content + 70000, 2, 70000) == 2);
    look_again(65536, LARGE);
}

static void check_lengths(void)
{
    look_again(SIZE - LARGE, LARGE);
    REPORT(look(SIZE - 40000, LARGE) == 40000);
    REPORT(look(SIZE, LARGE) == 0 && look(SIZE + 1000, LARGE) == 0);
    REPORT(ftruncate(file, 100000) == 0 && look(65536, LARGE) == 100000 - 65536);
    REPORT(look(0, LARGE) == LARGE && look(131072, LARGE) == 0);
    memset(content + 100000, 0, SIZE - 100000);
    REPORT(ftruncate(file, SIZE) == 0);
    look_again(65536, LARGE);
    look_again(131072, LARGE);
    REPORT(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * (off_t)PAGE, PAGE) == 0);
    memset(content + 8 * (size_t)PAGE, 0, PAGE);
    look_again(0, LARGE);
}

/* Where the guest's memory ends, or is divided. */
static void check_memory(void)
{
    struct iovec parts[] = {{buffer, 20000}, {buffer + 20000, 1}, {buffer + 20001, 40000}};
    bool all = true;

    for (int i = 0; i < AGAIN; i++) {
        ssize_t got = pread(file, buffer + LARGE - 30000, LARGE, 0);

        all = all && (got == -1 ? errno == EFAULT : got <= 30000);
        all = all && (got == -1 || memcmp(buffer + LARGE - 30000, content, (size_t)got) == 0);
        all = all && pread(file, buffer + LARGE, LARGE, 0) == -1 && errno == EFAULT;
        memset(buffer, 0, LARGE);
        all = all && preadv(file, parts, 3, 1000) == 60001 && memcmp(buffer, content + 1000, 60001) == 0;
    }
    REPORT(all);
}

/* Descriptors that share a file, and what is left of one that has no name any more. */
static void check_descriptors(void)
{
    int first = file;

    file = dup(first);
    look_again(0, LARGE);
    close(first);
    look_again(0, LARGE);
    REPORT(unlink("views") == 0);
    look_again(0, LARGE);
    REPORT(lseek(file, 0, SEEK_CUR) == 0);
}

/* Right or zero, however far the file went at that moment. */
static bool is_plausible(ssize_t got)
{
    if (got < 0 || got > LARGE)
        return false;
    for (ssize_t i = 0; i < got; i++) {
        if (buffer[i] != content[i] && buffer[i] != 0)
            return false;
    }
    return true;
}

static int cut_and_write(void)
{
    for (int i = 0; i < CUTS; i++) {
        if (ftruncate(file, i % 2 * (off_t)5000) != 0 || pwrite(file, content, SIZE, 0) != SIZE)
            return 1;
    }
    return 0;
}

static void check_plausible(void)
{
    bool all = true;

    for (int i = 0; i < LOOKS; i++)
        all = all && is_plausible(pread(file, buffer, LARGE, 0));
    REPORT(all);
}

static void check_beside_cuts(void)
{
    pid_t cutter;
    int status = 1;

    fill(7);
    look_again(0, LARGE);
    fflush(stdout);
    cutter = fork();
    if (cutter == 0)
        _exit(cut_and_write());
    check_plausible();
    REPORT(waitpid(cutter, &status, 0) == cutter && status == 0);
    look_again(0, LARGE);
}

static bool is_there(const char *name)
{
    return access(name, F_OK) == 0;
}

static void make(const char *name)
{
    REPORT(close(open(name, O_WRONLY | O_CREAT, 0600)) == 0);
}

/* Some steps into the reads of the other, over and over, as long as it reads. */
static void cut_beside_reads(void)
{
    for (int i = 0; i < 6000 && !is_there("begin"); i++)
        usleep(10000);
    for (int i = 0; i < 30 * CUTS && !is_there("end"); i++) {
        if (ftruncate(file, i % 4 * (off_t)20000) != 0 || pwrite(file, content, SIZE, 0) != SIZE)
            wrong++;
        usleep((useconds_t)(i % 16));
    }
}

static void read_beside_cuts(void)
{
    make("begin");
    for (int i = 0; i < 4; i++)
        check_plausible();
    make("end");
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";

    buffer = mmap(NULL, LARGE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file = open("views", part[0] != '\0' ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC, 0600);
    REPORT(buffer != MAP_FAILED && munmap(buffer + LARGE, PAGE) == 0 && file >= 0);
    fill(7);
    if (strcmp(part, "cut") == 0) {
        cut_beside_reads();
        return report_status();
    }
    if (strcmp(part, "read") == 0) {
        read_beside_cuts();
        return report_status();
    }
    check_changes();
    check_lengths();
    check_memory();
    check_descriptors();
    check_beside_cuts();
    return report_status();
}
