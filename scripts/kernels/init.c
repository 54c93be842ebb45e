/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Process 1 of the kernel matrix: mounts what the tests need, runs
 * "/runner $RUNNER_ARGS" with its output on the serial port $RESULT_PORT, writes a
 * RESULT line with the runner's status behind it and powers the machine off.
 * Words like RUNNER_ARGS=a,b on the kernel's command line arrive here as
 * environment variables.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_ARGUMENTS 80

struct mount_point {
    const char *type;
    const char *path;
};

static const struct mount_point mount_points[] = {
    {"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}, {"tmpfs", "/dev/shm"},
};

static void mount_all(void)
{
    for (size_t i = 0; i < sizeof(mount_points) / sizeof(mount_points[0]); i++) {
        const struct mount_point *point = &mount_points[i];
        mkdir(point->path, 0755);
        if (mount(point->type, point->path, point->type, 0, NULL) != 0)
            printf("init: mount %s: %s\n", point->path, strerror(errno));
    }
}

/* Raw, so that the lines arrive as they were written. */
static int open_result_port(const char *path)
{
    int port = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if (port >= 0 && tcgetattr(port, &settings) == 0) {
        cfmakeraw(&settings);
        tcsetattr(port, TCSANOW, &settings);
    }
    return port;
}

/* "a,b" becomes the arguments a and b: the kernel's command line splits at blanks. */
static void split_arguments(char *list, char *arguments[MAX_ARGUMENTS])
{
    size_t count = 0;
    arguments[count++] = "/runner";
    for (char *word = strtok(list, ","); word && count + 1 < MAX_ARGUMENTS; word = strtok(NULL, ","))
        arguments[count++] = word;
    arguments[count] = NULL;
}

static pid_t start_runner(int port)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char *arguments[MAX_ARGUMENTS];
    char *list = getenv("RUNNER_ARGS");
    split_arguments(list ? list : "", arguments);
    if (chdir("/tmp") != 0 || dup2(port, STDOUT_FILENO) < 0 || dup2(port, STDERR_FILENO) < 0)
        _exit(126);
    execv(arguments[0], arguments);
    dprintf(port, "init: exec %s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/* Orphans come to process 1 too; only the runner's own end counts. */
static int wait_for(pid_t runner, int *status)
{
    pid_t pid;
    do {
        pid = wait(status);
    } while (pid > 0 ? pid != runner : errno == EINTR);
    return pid == runner ? 0 : -1;
}

static void run_and_report(int port)
{
    struct utsname kernel;
    int status;
    uname(&kernel);
    pid_t runner = start_runner(port);
    if (runner < 0 || wait_for(runner, &status) != 0)
        dprintf(port, "RESULT %s lost: %s\n", kernel.release, strerror(errno));
    else if (WIFEXITED(status))
        dprintf(port, "RESULT %s exit %d\n", kernel.release, WEXITSTATUS(status));
    else
        dprintf(port, "RESULT %s signal %d\n", kernel.release, WTERMSIG(status));
    tcdrain(port);
}

int main(void)
{
    const char *path = getenv("RESULT_PORT");
    int port;

    mount_all();
    port = open_result_port(path ? path : "/dev/ttyS1");
    if (port >= 0)
        run_and_report(port);
    else
        printf("init: no port for the result: %s\n", strerror(errno));
    reboot(RB_POWER_OFF);
    return 1;
}
