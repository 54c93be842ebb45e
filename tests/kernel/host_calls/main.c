/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How often the kernel asks the host for something, for each kind of guest
 * call: the table below is what it needs today. A row that changes fails:
 * more is a fault, and less is entered here. Usage: host_calls BACKEND ROOT,
 * a folder that the script beside this has made.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "counted.h"
#include "loop/loop.h"
#include "loop/sandbox.h"
#include "tasks/task.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct {
    const char *name;
    const char *expected;
    int seen;
} rows[] = {
    {"lseek", "lseek 1", 0},
    {"pwrite 8", "brought 1, pwrite 1", 0},
    {"pwrite 512", "brought 1, pwrite 1", 0},
    {"pwrite 64 KiB", "copy in 1, pwrite 1", 0},
    {"pread 8", "pread 1, attached 1", 0},
    {"pread 4 KiB", "pread 1, attached 1", 0},
    {"pread 2 pages", "pread 1, copy out 1", 0},
    {"pread, shared", "pread 1, copy out 1", 0},
    {"pread 64 KiB", "pread 1, copy out 1", 0},
    {"fstat", "fstatat 1, attached 1", 0},
    {"pipe write", "brought 1, write 1", 0},
    {"pipe read", "read 1, attached 1", 0},
    {"pipe writev", "copy in 1, copy many 1, write 1", 0},
    {"pipe readv", "copy in 1, read 1, copy many 1", 0},
    {"select", "copy many 2, ppoll 1", 0},
    {"pipe, close", "pipe2 1, alloc 2, copy out 1, close 2", 0},
    {"stat", "brought 1, fstatat 1, attached 1", 0},
    {"stat a link", "brought 1, fstatat 1, openat2 1, fstat 1, close 1, attached 1", 0},
    {"lstat a link", "brought 1, fstatat 1, attached 1", 0},
    {"stat deep", "brought 1, openat2 1, fstat 1, close 1, attached 1", 0},
    {"stat none", "brought 1, fstatat 1", 0},
    {"statx", "brought 1, statx 1, attached 1", 0},
    {"statx deep", "brought 1, openat2 1, fstat 1, statx 1, close 1, attached 1", 0},
    {"access", "brought 1, fstatat 1", 0},
    {"access to read", "brought 1, openat2 1, fstat 1, faccessat 1, close 1", 0},
    {"open, close", "brought 1, openat2 1, fstat 1, openat 1, close 2, alloc 1", 0},
    {"open deep", "brought 1, openat2 1, fstat 1, openat 1, close 2, alloc 1", 0},
    {"open a folder", "brought 1, openat2 1, fstat 1, alloc 1, close 1", 0},
    {"open to write", "brought 1, openat2 1, fstat 1, openat 1, close 2, alloc 1", 0},
    {"create", "brought 2, openat2 2, fstat 2, alloc 1, close 1, unlinkat 1", 0},
    {"getppid", "", 0},
    {"mmap, munmap", "apply 1, unmap 1", 0},
    {"clock_gettime", "clock 1, attached 1", 0},
    {"futex wake", "", 0},
    {"futex wait", "copy in 1", 0},
    {"timed wait", "copy many 1, clock 1", 0},
    {"fork", "alloc 8, fork 1, fcntl 1, clock_gettime 1, close 1, destroy 1", 0},
    {"execve",
     "alloc 12, copy many 1, copy in 1, create 1, openat2 1, fstat 2, faccessat 1, openat 1, close 2, pread 1, apply "
     "1, "
     "copy out 2, getrandom 1, readlinkat 2",
     0},
};

/* Looks at descriptors that another process waits for, while this one makes a thousand calls. */
#define LOOKS_MAX 100
#define LOOKS_ROW "beside a wait"

static char row_name[sizeof(((struct task *)NULL)->name)];
static int looks_seen;
static int wrong;

static void check_looks(void)
{
    unsigned int looks = counted_times("ppoll");

    printf("%-17s ppoll at most %d: %s\n", LOOKS_ROW, LOOKS_MAX, looks <= LOOKS_MAX ? "yes" : "NO");
    looks_seen++;
    wrong += looks > LOOKS_MAX;
}

static void check_row(const char *name)
{
    char got[512];

    counted_stop(got, sizeof(got));
    if (strcmp(name, LOOKS_ROW) == 0) {
        check_looks();
        return;
    }
    printf("%-17s %s\n", name, got);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        rows[i].seen++;
        if (strcmp(rows[i].expected, got) == 0)
            return;
        printf("FAILED: expected  %s\n", rows[i].expected);
    }
    wrong++;
}

/*
 * To end a host process takes long, so it happens behind the answer to a wait that it is the end of, and not on the
 * way to it. -1: no wait.
 */
static int destroyed_before_wait = -1;

static void check_wait(void)
{
    int destroyed = (int)counted_times("destroy") - destroyed_before_wait;

    if (destroyed > 0) {
        printf("FAILED: %d destroyed between a wait and its answer\n", destroyed);
        wrong++;
    }
    destroyed_before_wait = -1;
}

static void before_call(struct task *task, uint64_t nr, const uint64_t args[6])
{
    (void)task;
    (void)args;
    if (nr == SYS_prctl && row_name[0] != '\0')
        check_row(row_name);
    if (nr == SYS_wait4)
        destroyed_before_wait = (int)counted_times("destroy");
    /* No name can be set around what ends the program that sets it. */
    if (nr == SYS_execve)
        counted_start();
}

static void after_call(struct task *task, uint64_t nr, int64_t result)
{
    (void)result;
    if (nr == SYS_execve)
        check_row("execve");
    if (nr == SYS_wait4)
        check_wait();
    if (nr != SYS_prctl)
        return;
    memcpy(row_name, task->name, sizeof(row_name));
    if (row_name[0] != '\0')
        counted_start();
}

static int check_all_seen(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].seen == 1)
            continue;
        printf("FAILED: row '%s' was seen %d times\n", rows[i].name, rows[i].seen);
        wrong++;
    }
    return wrong > 0 || looks_seen != 1;
}

int main(int argc, char **argv)
{
    static const char *const arguments[] = {"/guest", NULL};
    char message[256] = "";
    struct sandbox_options options = {
        .answers = true,
        .root = argc == 3 ? argv[2] : "",
        .cwd = "/",
        .arguments = arguments,
        .standard_files = {true, true, true},
        .on_enter = before_call,
        .on_exit = after_call,
        .message = message,
        .message_capacity = sizeof(message),
    };
    struct sandbox *sandbox;
    int status = -1;
    int err;

    options.backend = argc == 3 && strcmp(argv[1], "systrap") == 0 ? TG_BACKEND_SYSTRAP : TG_BACKEND_PTRACE;
    err = sandbox_create(&options, &sandbox);
    if (err == 0)
        err = sandbox_load(sandbox);
    if (err == 0)
        err = sandbox_run(sandbox, &status);
    if (err != 0 || status != 0) {
        printf("FAILED: error %d, status %d: %s\n", err, status, message);
        return 1;
    }
    sandbox_destroy(sandbox);
    return check_all_seen();
}
