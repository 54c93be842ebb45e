/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* read, write and their relatives, with good and with bad memory. */
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attempt.h"

#define LARGE (1 << 20)

static char *const nowhere = (char *)16;
static char *edge; /* 4096 bytes in front of a page that is not there */

static unsigned long checksum(const unsigned char *bytes, size_t length)
{
    unsigned long sum = 5381;

    for (size_t i = 0; i < length; i++)
        sum = sum * 33 + bytes[i];
    return sum;
}

static void large_transfers(void)
{
    unsigned char *out = malloc(LARGE);
    unsigned char *in = calloc(1, LARGE);
    int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0644);

    for (size_t i = 0; i < LARGE; i++)
        out[i] = (unsigned char)(i * 31 + i / 4096);
    ATTEMPT(write(fd, out, LARGE));
    ATTEMPT(lseek(fd, 0, SEEK_SET));
    ATTEMPT(read(fd, in, LARGE));
    ATTEMPT(memcmp(in, out, LARGE));
    ATTEMPT(read(fd, in, LARGE));
    ATTEMPT(pread(fd, in, 70000, LARGE - 66000));
    printf("%lx\n", checksum(in, 66000));
    ATTEMPT(pwrite(fd, out, 70001, 333333));
    ATTEMPT(lseek(fd, 0, SEEK_CUR));
    ATTEMPT(pread(fd, in, LARGE, 0));
    printf("%lx\n", checksum(in, LARGE));
    ATTEMPT(lseek(fd, -5, SEEK_SET));
    ATTEMPT(lseek(fd, 10, SEEK_END));
    ATTEMPT(write(fd, "x", 1));
    ATTEMPT(ftruncate(fd, 12345));
    ATTEMPT(lseek(fd, 0, SEEK_END));
    ATTEMPT(ftruncate(fd, -1));
    ATTEMPT(fallocate(fd, 0, 0, 20000));
    ATTEMPT(fsync(fd));
    ATTEMPT(fdatasync(fd));
    ATTEMPT(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    close(fd);
    free(in);
    free(out);
}

static void bad_memory(void)
{
    int fd = open("numbers", O_RDONLY);
    int out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0644);

    ATTEMPT(read(fd, nowhere, 10));
    ATTEMPT(lseek(fd, 0, SEEK_CUR));
    ATTEMPT(read(fd, edge + 4000, 200));
    ATTEMPT(lseek(fd, 0, SEEK_CUR));
    ATTEMPT(read(fd, nowhere, 0));
    ATTEMPT(write(out, nowhere, 10));
    ATTEMPT(write(out, edge + 4000, 200));
    ATTEMPT(write(out, edge, 0));
    ATTEMPT(read(out, edge, -1));
    ATTEMPT(read(fd, edge, (size_t)SSIZE_MAX + 1));
    ATTEMPT(lseek(out, 0, SEEK_CUR));
    ATTEMPT(open(nowhere, O_RDONLY));
    ATTEMPT(open(edge + 4095, O_RDONLY));
    ATTEMPT(fstat(fd, (struct stat *)nowhere));
    close(fd);
    close(out);
}

static void vectors(void)
{
    char first[7];
    char second[100];
    struct iovec good[] = {{first, sizeof(first)}, {NULL, 0}, {second, sizeof(second)}};
    struct iovec broken[] = {{first, sizeof(first)}, {nowhere, 5}, {second, 5}};
    struct iovec negative[] = {{first, SIZE_MAX}};
    int fd = open("numbers", O_RDONLY);
    int out = open("vectors", O_RDWR | O_CREAT | O_APPEND, 0644);

    ATTEMPT(readv(fd, good, 3));
    ATTEMPT(writev(out, good, 3));
    ATTEMPT(preadv(fd, good, 3, 1000));
    ATTEMPT(pwritev(out, good, 3, 3));
    ATTEMPT(writev(out, broken, 3));
    ATTEMPT(writev(out, negative, 1));
    ATTEMPT(writev(out, good, -1));
    ATTEMPT(writev(out, good, 1025));
    ATTEMPT(writev(out, (struct iovec *)nowhere, 1));
    ATTEMPT(readv(fd, good, 0));
    ATTEMPT(preadv2(fd, good, 3, -1, 0));
    ATTEMPT(preadv(fd, good, 3, -1));
    ATTEMPT(lseek(fd, 0, SEEK_CUR));
    close(fd);
    close(out);
}

static void wrong_files(void)
{
    char byte = 0;
    int directory = open("tree", O_RDONLY);
    int read_only = open("numbers", O_RDONLY);
    int write_only = open("write_only", O_WRONLY | O_CREAT, 0600);
    int path_only = open("numbers", O_PATH);

    ATTEMPT(read(directory, &byte, 1));
    ATTEMPT(read(directory, &byte, 0));
    ATTEMPT(write(directory, &byte, 1));
    ATTEMPT(write(read_only, &byte, 1));
    ATTEMPT(read(write_only, &byte, 1));
    ATTEMPT(read(path_only, &byte, 1));
    ATTEMPT(read(1000, &byte, 1));
    ATTEMPT(read(-1, &byte, 1));
    ATTEMPT(write(INT_MAX, &byte, 1));
    ATTEMPT(open("tree", O_WRONLY));
    ATTEMPT(open("tree", O_RDONLY | O_CREAT, 0600));
    ATTEMPT(open("numbers", O_RDONLY | O_DIRECTORY));
    ATTEMPT(open("numbers/", O_RDONLY));
    ATTEMPT(open("numbers", O_RDWR | O_CREAT | O_EXCL, 0600));
}

static void from_file_to_file(void)
{
    off_t from = 100;
    off_t to = 5;
    int in = open("numbers", O_RDONLY);
    int out = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);

    ATTEMPT(sendfile(out, in, &from, 1000));
    ATTEMPT(from);
    ATTEMPT(sendfile(out, in, NULL, 1 << 20));
    ATTEMPT(copy_file_range(in, &to, out, NULL, 64, 0));
    ATTEMPT(to);
    ATTEMPT(copy_file_range(in, NULL, out, NULL, 64, 1));
    ATTEMPT(sendfile(out, in, (off_t *)nowhere, 10));
    ATTEMPT(sendfile(in, out, NULL, 10));
    close(in);
    close(out);
}

static void devices_and_memory_files(void)
{
    char bytes[300];
    int zero = open("/dev/zero", O_RDWR);
    int full = open("/dev/full", O_WRONLY);
    int memory = memfd_create("name", 0);

    ATTEMPT(read(zero, bytes, sizeof(bytes)));
    ATTEMPT(write(zero, bytes, sizeof(bytes)));
    ATTEMPT(write(full, bytes, sizeof(bytes)));
    ATTEMPT(write(memory, bytes, sizeof(bytes)));
    ATTEMPT(lseek(memory, 0, SEEK_SET));
    ATTEMPT(read(memory, bytes, 1000 > sizeof(bytes) ? sizeof(bytes) : 1000));
    ATTEMPT(read(open("/dev/urandom", O_RDONLY), bytes, sizeof(bytes)));
    ATTEMPT(memfd_create("name", 0x40000000));
}

int main(void)
{
    edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(edge + 4096, 4096);
    memset(edge, 'e', 4096);
    close_range(3, ~0U, 0);
    large_transfers();
    bad_memory();
    vectors();
    wrong_files();
    from_file_to_file();
    devices_and_memory_files();
    return 0;
}
