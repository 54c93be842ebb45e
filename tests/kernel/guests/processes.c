/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Children: their memory, their ends, their groups, what they inherit, and what execve keeps. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

extern char **environ;

static volatile sig_atomic_t children_ended;

static void count_child(int signo)
{
    (void)signo;
    children_ended++;
}

static void check_memory(void)
{
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int own = 1;
    int status;
    pid_t child = fork();

    if (child == 0) {
        own = 2;
        *shared = 7;
        _exit(own == 2 ? 5 : 6);
    }
    REPORT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    REPORT(own == 1 && *shared == 7);
    REPORT(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

static void check_ends(void)
{
    siginfo_t info = {0};
    int status;
    pid_t child = fork();

    if (child == 0) {
        raise(SIGTERM);
        _exit(1);
    }
    REPORT(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
    REPORT(info.si_code == CLD_KILLED && info.si_status == SIGTERM && info.si_pid == child);
    REPORT(waitpid(child, &status, WNOHANG) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    REPORT(waitpid(child, &status, WNOHANG) == 0);
    REPORT(kill(child, SIGKILL) == 0);
    REPORT(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    child = fork();
    if (child == 0)
        for (;;)
            ;
    REPORT(kill(child, SIGINT) == 0);
    REPORT(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGINT);
}

static void check_child_signal(void)
{
    struct sigaction action = {.sa_handler = count_child};
    sigset_t block, old;

    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &old);
    sigaction(SIGCHLD, &action, NULL);
    if (fork() == 0)
        _exit(0);
    while (!children_ended)
        sigsuspend(&old);
    REPORT(children_ended == 1 && wait(NULL) > 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0)
        _exit(0);
    REPORT(wait(NULL) == -1 && errno == ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void check_pipe(void)
{
    int pipes[2], status;
    char text[32] = "";
    pid_t child;
    ssize_t n;

    REPORT(pipe(pipes) == 0);
    child = fork();
    if (child == 0) {
        close(pipes[0]);
        usleep(10000);
        _exit(write(pipes[1], "from the child", 14) != 14);
    }
    close(pipes[1]);
    n = read(pipes[0], text, sizeof(text));
    REPORT(n == 14 && strcmp(text, "from the child") == 0);
    REPORT(read(pipes[0], text, sizeof(text)) == 0);
    REPORT(waitpid(child, &status, 0) == child && status == 0);
    close(pipes[0]);
}

static void check_broken_pipe(void)
{
    int pipes[2], status;
    pid_t child;

    REPORT(pipe(pipes) == 0);
    child = fork();
    if (child == 0) {
        close(pipes[0]);
        write(pipes[1], "x", 1);
        _exit(0);
    }
    close(pipes[0]);
    close(pipes[1]);
    REPORT(waitpid(child, &status, 0) == child);
    printf("%d\n", WIFEXITED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE));
    signal(SIGPIPE, SIG_IGN);
    REPORT(pipe(pipes) == 0 && close(pipes[0]) == 0);
    REPORT(write(pipes[1], "x", 1) == -1 && errno == EPIPE);
    close(pipes[1]);
    signal(SIGPIPE, SIG_DFL);
}

/* The program itself again, with another argument: says what it was left. */
static int after_exec(int argc, char **argv)
{
    struct sigaction action;
    sigset_t mask;

    printf("exec: %d arguments, last %s, VARIABLE=%s\n", argc, argv[argc - 1], getenv("VARIABLE"));
    sigaction(SIGUSR1, NULL, &action);
    REPORT(action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &action);
    REPORT(action.sa_handler == SIG_IGN);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    REPORT(sigismember(&mask, SIGHUP));
    REPORT(fcntl(20, F_GETFD) == -1 && errno == EBADF);
    REPORT(fcntl(21, F_GETFD) == 0);
    return report_status() ? 9 : 4;
}

static void check_exec(const char *self)
{
    char *const arguments[] = {(char *)self, "after-exec", "two words", NULL};
    char *const environment[] = {"VARIABLE=value", NULL};
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        sigset_t hup;
        sigemptyset(&hup);
        sigaddset(&hup, SIGHUP);
        sigprocmask(SIG_BLOCK, &hup, NULL);
        signal(SIGUSR1, count_child);
        signal(SIGUSR2, SIG_IGN);
        dup3(1, 20, O_CLOEXEC);
        dup2(1, 21);
        execve(self, arguments, environment);
        _exit(99);
    }
    REPORT(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
    REPORT(execve("/nowhere/program", arguments, environment) == -1 && errno == ENOENT);
}

static void check_spawn(const char *self)
{
    char *const arguments[] = {(char *)self, "exit", NULL};
    int status;
    pid_t child;

    fflush(stdout);
    REPORT(posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0);
    REPORT(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 17);
    REPORT(posix_spawn(&child, "/nowhere/program", NULL, NULL, arguments, environ) == ENOENT);
    REPORT(system("exit 12") == 12 << 8);
}

/* Of a child that executes the program as this path, or descriptor where that is NULL. */
static int status_of_program(const char *path, int fd)
{
    char *const arguments[] = {"program", "exit", NULL};
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        if (path)
            execve(path, arguments, environ);
        else
            fexecve(fd, arguments, environ);
        _exit(errno);
    }
    return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

static void check_links_in_proc(const char *self)
{
    int fd = open(self, O_RDONLY), path_fd = open(self, O_PATH);
    char name[32];

    fflush(stdout);
    REPORT(status_of_program("/proc/self/exe", -1) == 17);
    snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    REPORT(status_of_program(name, -1) == 17);
    REPORT(status_of_program(NULL, fd) == 17);
    REPORT(status_of_program(NULL, path_fd) == 17);
    REPORT(status_of_program("/proc/self/fd/999", -1) == ENOENT);
    close(fd);
    close(path_fd);
}

static void check_groups(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid())
            _exit(1);
        _exit(0);
    }
    REPORT(waitpid(child, &status, 0) == child && status == 0);
    child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    REPORT(setpgid(child, child) == 0 && getpgid(child) == child);
    REPORT(kill(-child, SIGTERM) == 0);
    REPORT(waitpid(-child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
}

static void check_orphan(void)
{
    int pipes[2];
    char byte = 0;

    REPORT(pipe(pipes) == 0);
    if (fork() == 0) {
        pid_t middle = getpid();
        if (fork() == 0) {
            while (getppid() == middle)
                usleep(1000);
            _exit(write(pipes[1], "o", 1) != 1);
        }
        _exit(0);
    }
    REPORT(wait(NULL) > 0);
    REPORT(read(pipes[0], &byte, 1) == 1 && byte == 'o');
    close(pipes[0]);
    close(pipes[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "after-exec") == 0)
        return after_exec(argc, argv);
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        return 17;
    check_memory();
    check_ends();
    check_child_signal();
    check_pipe();
    check_broken_pipe();
    check_exec(argv[0]);
    check_spawn(argv[0]);
    check_links_in_proc(argv[0]);
    check_groups();
    check_orphan();
    return report_status();
}
