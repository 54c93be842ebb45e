/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Record locks belong to processes: a fork shares none, others are kept out, and closing any descriptor frees all. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"

static struct flock lock_of(short type, off_t start, off_t length)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static long set(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = lock_of(type, start, length);

    return fcntl(fd, command, &lock);
}

/* Prints who keeps a write lock away, told apart by whether it is this process. */
static void look(int fd, int command, off_t start, off_t length, pid_t expected)
{
    struct flock lock = lock_of(F_WRLCK, start, length);

    ATTEMPT(fcntl(fd, command, &lock));
    printf("type %d, from %ld, %ld bytes, whence %d, holder %s\n", lock.l_type, (long)lock.l_start, (long)lock.l_len,
           lock.l_whence, lock.l_pid == expected ? "as expected" : "another");
}

static void in_child(void (*action)(int fd, pid_t parent), int fd)
{
    pid_t parent = getpid(), child;
    int status = -1;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        action(fd, parent);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("child: %d\n", status);
}

static void try_inherited(int fd, pid_t parent)
{
    int own = open("numbers", O_RDWR);

    look(fd, F_GETLK, 0, 0, parent);
    look(own, F_GETLK, 15, 1, parent);
    look(own, F_OFD_GETLK, 15, 1, parent);
    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 0, 0));
    ATTEMPT(set(fd, F_SETLK, F_RDLCK, 15, 1));
    ATTEMPT(set(own, F_SETLK, F_WRLCK, 29, 1));
    ATTEMPT(set(own, F_SETLK, F_WRLCK, 30, 1));
    ATTEMPT(set(fd, F_SETLK, F_UNLCK, 0, 0));
}

static void try_free(int fd, pid_t parent)
{
    look(fd, F_GETLK, 0, 0, parent);
    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 0, 0));
}

static void between_processes(void)
{
    int fd = open("numbers", O_RDWR), other;

    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 10, 20));
    look(fd, F_GETLK, 0, 0, 0);
    in_child(try_inherited, fd);
    lseek(fd, 10, SEEK_SET);
    struct flock relative = {.l_type = F_UNLCK, .l_whence = SEEK_CUR, .l_len = 5};
    ATTEMPT(fcntl(fd, F_SETLK, &relative));
    in_child(try_inherited, fd);
    other = open("numbers", O_RDONLY);
    close(other);
    in_child(try_free, fd);
    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 0, 0));
    ATTEMPT(dup2(1, fd) == fd);
    close(fd);
    fd = open("numbers", O_RDWR);
    in_child(try_free, fd);
    close(fd);
}

static void with_other_locks(void)
{
    int fd = open("numbers", O_RDWR), read_only = open("numbers", O_RDONLY), path = open("numbers", O_PATH);

    ATTEMPT(set(fd, F_OFD_SETLK, F_WRLCK, 0, 1));
    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 0, 1));
    ATTEMPT(set(fd, F_SETLK, F_WRLCK, 1, 1));
    ATTEMPT(set(fd, F_OFD_SETLK, F_WRLCK, 0, 2));
    look(fd, F_OFD_GETLK, 0, 2, getpid());
    ATTEMPT(set(read_only, F_SETLK, F_WRLCK, 5, 1));
    ATTEMPT(set(read_only, F_SETLK, F_RDLCK, 5, 1));
    ATTEMPT(set(path, F_SETLK, F_RDLCK, 5, 1));
    ATTEMPT(set(99, F_SETLK, F_RDLCK, 5, 1));
    ATTEMPT(set(fd, F_SETLK, 77, 5, 1));
    ATTEMPT(fcntl(fd, F_SETLK, (void *)8));
    close(fd);
    close(read_only);
    close(path);
}

/* The child's end gives the lock to the parent, which waits for it. */
static void wait_for_lock(void)
{
    int fd = open("numbers", O_RDWR), ready[2], status = -1;
    pid_t child;
    char byte;

    ATTEMPT(pipe(ready));
    fflush(stdout);
    child = fork();
    if (child == 0) {
        close(ready[0]);
        set(fd, F_SETLK, F_WRLCK, 0, 0);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        usleep(50000);
        _exit(0);
    }
    close(ready[1]);
    ATTEMPT(read(ready[0], &byte, 1));
    ATTEMPT(set(fd, F_SETLKW, F_WRLCK, 100, 1));
    ATTEMPT(waitpid(child, &status, 0) == child && status == 0);
    close(ready[0]);
    close(fd);
}

int main(void)
{
    between_processes();
    with_other_locks();
    wait_for_lock();
    return 0;
}
