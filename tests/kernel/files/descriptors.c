/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Numbers and flags of descriptors: dup, fcntl, ioctl, close_range, locks. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "attempt.h"

static void numbers(void)
{
    int fd = open("numbers", O_RDONLY);

    ATTEMPT(fd);
    ATTEMPT(dup(fd));
    ATTEMPT(dup2(fd, 10));
    ATTEMPT(dup2(fd, fd));
    ATTEMPT(dup2(99, 99));
    ATTEMPT(dup3(fd, fd, 0));
    ATTEMPT(dup3(fd, 11, O_CLOEXEC));
    ATTEMPT(dup3(fd, 11, 1));
    ATTEMPT(fcntl(fd, F_DUPFD, 10));
    ATTEMPT(fcntl(fd, F_DUPFD_CLOEXEC, 20));
    ATTEMPT(fcntl(fd, F_DUPFD, -1));
    ATTEMPT(dup2(fd, -1));
    ATTEMPT(dup2(fd, 1 << 30));
    ATTEMPT(fcntl(11, F_GETFD));
    ATTEMPT(fcntl(10, F_GETFD));
    ATTEMPT(fcntl(10, F_SETFD, FD_CLOEXEC));
    ATTEMPT(fcntl(10, F_GETFD));
    ATTEMPT(close(4));
    ATTEMPT(close(4));
    ATTEMPT(open("numbers", O_RDONLY | O_CLOEXEC));
    ATTEMPT(fcntl(4, F_GETFD));
    ATTEMPT(read(fd, (char[10]){0}, 10));
    ATTEMPT(lseek(10, 0, SEEK_CUR));
    ATTEMPT(lseek(4, 0, SEEK_CUR));
    ATTEMPT(close_range(10, 12, 0));
    ATTEMPT(dup(10));
    ATTEMPT(close_range(5, 2, 0));
    ATTEMPT(close_range(20, 20, 4));
    ATTEMPT(close_range(3, ~0U, 0));
    ATTEMPT(open("numbers", O_RDONLY));
    ATTEMPT(close(3));
}

static void limit(void)
{
    struct rlimit few = {8, 8};
    int last = 0;

    ATTEMPT(setrlimit(RLIMIT_NOFILE, &few));
    while (last >= 0)
        last = (int)ATTEMPT(dup(0));
    ATTEMPT(dup2(0, 8));
    ATTEMPT(fcntl(0, F_DUPFD, 8));
    ATTEMPT(pipe((int[2]){0}));
    ATTEMPT(close_range(3, ~0U, 0));
}

static void flags(void)
{
    int fd = open("numbers", O_RDWR | O_APPEND);
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    int ends[2];
    int value = 1;

    ATTEMPT(fcntl(fd, F_GETFL));
    ATTEMPT(fcntl(directory, F_GETFL));
    ATTEMPT(fcntl(fd, F_SETFL, O_NONBLOCK));
    ATTEMPT(fcntl(fd, F_GETFL));
    ATTEMPT(pwrite(fd, "start", 5, 0));
    ATTEMPT(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    ATTEMPT(fcntl(ends[0], F_GETFL));
    ATTEMPT(fcntl(ends[1], F_GETFL));
    ATTEMPT(fcntl(ends[0], F_GETFD));
    ATTEMPT(write(ends[1], "12345", 5));
    ATTEMPT(ioctl(ends[0], FIONREAD, &value));
    ATTEMPT(value);
    ATTEMPT(ioctl(ends[0], FIONBIO, &(int){0}));
    ATTEMPT(fcntl(ends[0], F_GETFL));
    ATTEMPT(ioctl(ends[0], FIONCLEX));
    ATTEMPT(fcntl(ends[0], F_GETFD));
    ATTEMPT(ioctl(fd, TCGETS, &(struct termios){0}));
    ATTEMPT(ioctl(fd, 0x12345678));
    ATTEMPT(isatty(0));
    ATTEMPT(fcntl(fd, 12345));
    ATTEMPT(fcntl(99, F_GETFL));
    ATTEMPT(ioctl(99, FIONREAD, &value));
    ATTEMPT(lseek(ends[0], 0, SEEK_CUR));
    ATTEMPT(pread(ends[0], &value, 1, 0));
    ATTEMPT(fcntl(ends[0], F_GETPIPE_SZ));
    ATTEMPT(close_range(3, ~0U, 0));
}

static void locks(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    int first = open("numbers", O_RDWR);
    int second = open("numbers", O_RDWR);

    ATTEMPT(flock(first, LOCK_EX));
    ATTEMPT(flock(second, LOCK_SH | LOCK_NB));
    ATTEMPT(flock(first, LOCK_UN));
    ATTEMPT(flock(second, LOCK_SH));
    ATTEMPT(flock(second, 0x77));
    ATTEMPT(fcntl(first, F_OFD_SETLK, &lock));
    ATTEMPT(fcntl(second, F_OFD_SETLK, &lock));
    lock.l_type = F_UNLCK;
    ATTEMPT(fcntl(first, F_OFD_SETLK, &lock));
    lock.l_type = F_WRLCK;
    ATTEMPT(fcntl(first, F_SETLK, &lock));
    ATTEMPT(fcntl(first, F_GETLK, &lock));
    ATTEMPT(lock.l_type == F_UNLCK);
    ATTEMPT(close_range(3, ~0U, 0));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_own(const char *path)
{
    struct dirent **entries = NULL;
    int count = (int)ATTEMPT(scandir(path, &entries, NULL, by_name));

    for (int i = 0; i < count; i++) {
        printf("%s %d\n", entries[i]->d_name, entries[i]->d_type);
        free(entries[i]);
    }
    free(entries);
}

static void show_link(int folder, const char *name)
{
    char text[PATH_MAX] = "";
    struct stat st;

    ATTEMPT(fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (long)st.st_mode : -1);
    ATTEMPT(fstatat(folder, name, &st, 0) == 0 ? (long)st.st_size : -1);
    ATTEMPT(readlinkat(folder, name, text, sizeof(text) - 1));
    printf("%s -> %s\n", name, text);
}

/* The process's own descriptors as a folder of links. */
static void own_folder(void)
{
    char small[64];
    int folder;

    ATTEMPT(open("numbers", O_RDONLY));
    ATTEMPT(open("made", O_CREAT | O_WRONLY, 0600));
    ATTEMPT(dup2(3, 300));
    list_own("/proc/self/fd");
    list_own("/dev/fd/");
    ATTEMPT(folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY));
    show_link(folder, "3");
    show_link(folder, "4");
    show_link(folder, "99");
    show_link(AT_FDCWD, "/proc/self/fd/4");
    ATTEMPT(fstatat(folder, "..", &(struct stat){0}, 0));
    ATTEMPT(read(openat(folder, "3", O_RDONLY), small, 10));
    ATTEMPT(read(folder, small, 10));
    ATTEMPT(syscall(SYS_getdents64, folder, small, 10));
    while (ATTEMPT(syscall(SYS_getdents64, folder, small, sizeof(small))) > 0)
        continue;
    ATTEMPT(lseek(folder, 0, SEEK_SET));
    ATTEMPT(syscall(SYS_getdents64, folder, 16, 64));
    ATTEMPT(syscall(SYS_getdents64, folder, small, sizeof(small)));
    ATTEMPT(open("/proc/self/fd", O_RDWR));
    ATTEMPT(readlink("/proc/self/fd", small, sizeof(small)));
    ATTEMPT(unlinkat(folder, "3", 0) < 0);
    ATTEMPT(symlinkat("x", folder, "new") < 0);
    close_range(3, ~0U, 0);
    ATTEMPT(unlink("made"));
}

int main(void)
{
    close_range(3, ~0U, 0);
    numbers();
    own_folder();
    flags();
    locks();
    limit();
    return 0;
}
