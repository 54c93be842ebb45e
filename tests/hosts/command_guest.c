/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest that asks for what any program does. Where something fails it says so
 * on stdout and ends with GUEST_REFUSED: then the guest sees the error itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command_guest.h"

#define PAUSE_NS 2000000 /* for the child, so that the pipe is waited for */

static void need(int holds, const char *what)
{
    if (holds)
        return;
    dprintf(1, "guest: %s: %s\n", what, strerror(errno));
    _exit(GUEST_REFUSED);
}

static void read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char text[4];
    void *mapped;

    need(fd >= 0, "open");
    need(fstat(fd, &status) == 0, "fstat");
    need(read(fd, text, sizeof(text)) == sizeof(text), "read");
    mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    need(mapped != MAP_FAILED, "mmap");
    need(memcmp(mapped, text, sizeof(text)) == 0, "mapped file");
    need(munmap(mapped, (size_t)status.st_size) == 0, "munmap");
    close(fd);
}

static void list_root(void)
{
    DIR *folder = opendir("/");

    need(folder != NULL, "opendir");
    need(readdir(folder) != NULL, "readdir");
    closedir(folder);
}

static int be_the_child(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    return write(1, "word", 4) != 4;
}

static _Noreturn void become_the_child(const char *self, int fd)
{
    char *const arguments[] = {(char *)self, "child", NULL};
    char *const environment[] = {NULL};

    need(dup2(fd, 1) == 1, "dup2");
    execve(self, arguments, environment);
    _exit(GUEST_REFUSED);
}

static void talk_to_a_child(const char *self)
{
    struct pollfd poll_fd = {.events = POLLIN};
    int ends[2];
    int status;
    char text[8];
    pid_t child;

    need(pipe(ends) == 0, "pipe");
    child = fork();
    need(child >= 0, "fork");
    if (child == 0)
        become_the_child(self, ends[1]);
    close(ends[1]);
    poll_fd.fd = ends[0];
    need(poll(&poll_fd, 1, -1) == 1, "poll");
    need(read(ends[0], text, sizeof(text)) == 4, "word from the child");
    need(waitpid(child, &status, 0) == child, "waitpid");
    need(status == 0, "status of the child");
    close(ends[0]);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return be_the_child();
    read_file(argv[0]);
    list_root();
    talk_to_a_child(argv[0]);
    need(write(1, GUEST_DONE, sizeof(GUEST_DONE) - 1) == sizeof(GUEST_DONE) - 1, "write");
    return 0;
}
