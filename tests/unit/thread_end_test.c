/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Of another process's threads: which have ended, whatever else they do. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/thread_end.h"

#define TRIES    2000
#define PAUSE_NS 5000000

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void *live_on(void *argument)
{
    int out = *(const int *)argument;
    pid_t tid = (pid_t)syscall(SYS_gettid);

    if (write(out, &tid, sizeof(tid)) != sizeof(tid))
        _exit(1);
    for (;;)
        pause();
}

/* Its first thread ends alone when a byte comes; another one, whose number is sent, lives on. */
static _Noreturn void be_two_threads(int in, int out)
{
    pthread_t thread;
    char byte;

    if (pthread_create(&thread, NULL, live_on, &out) || read(in, &byte, 1) != 1)
        _exit(1);
    syscall(SYS_exit, 0);
    _exit(1);
}

static void wait_until_ended(pid_t tid)
{
    for (int i = 0; i < TRIES && !thread_has_ended(tid); i++)
        pause_shortly();
    assert_true(thread_has_ended(tid));
}

static void the_first_ends_alone(void **state)
{
    int to_child[2];
    int from_child[2];
    pid_t other;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_two_threads(to_child[0], from_child[1]);
    assert_int_equal(read(from_child[0], &other, sizeof(other)), sizeof(other));
    assert_false(thread_has_ended(child));
    assert_false(thread_has_ended(other));
    assert_int_equal(write(to_child[1], "x", 1), 1);
    wait_until_ended(child);
    /* What else could be asked says that it lives. */
    assert_int_equal(syscall(SYS_tgkill, child, child, 0), 0);
    assert_false(thread_has_ended(other));
    assert_int_equal(kill(child, SIGKILL), 0);
    wait_until_ended(other);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(thread_has_ended(child));
}

/* Nor one that is new and has not run yet, over and over. */
static void a_stopped_one_lives(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        for (;;)
            pause();
    errno = EBUSY;
    for (int i = 0; i < TRIES; i++)
        assert_false(thread_has_ended(child));
    assert_int_equal(errno, EBUSY);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_false(thread_has_ended(child));
    assert_int_equal(kill(child, SIGKILL), 0);
    /* A zombie until it is reaped. */
    wait_until_ended(child);
    assert_int_equal(waitpid(child, &status, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_ends_alone),
        cmocka_unit_test(a_stopped_one_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
