/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What ends calls that could last for ever, at any moment: guests that spin, waits, and stubs that were stopped. */
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

/* The descriptor may be a stranger's only when the number was, and then the subprocess has lost it since. */
void signal_stub(struct subprocess *subprocess, int signal)
{
    tg_subprocess *handle = subprocess->handle.object;
    pid_t pid = tg_subprocess_pid(handle);
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (fd < 0)
        return;
    if (tg_subprocess_pid(handle) == pid)
        syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    close(fd);
}

static void go_on(struct subprocess *subprocess)
{
    if (!atomic_load(&subprocess->stopped) || !handle_use(&subprocess->handle, PROD))
        return;
    atomic_store(&subprocess->stopped, false);
    CALL_VOID(PRODDER, signal_stub(subprocess, SIGCONT));
    handle_leave(&subprocess->handle, PROD);
}

static void prod_platform(struct platform *platform)
{
    for (int i = 0; i < SUBPROCESSES; i++)
        go_on(&platform->subprocesses[i]);
    for (int i = 0; i < CONTEXTS; i++) {
        struct handle *handle = &platform->contexts[i].handle;

        if (!handle_use(handle, PROD))
            continue;
        RESULT(PRODDER, platform, tg_context_interrupt(handle->object));
        handle_leave(handle, PROD);
    }
    for (int i = 0; i < QUEUES; i++) {
        struct handle *handle = &platform->queues[i].handle;

        if (!handle_use(handle, PROD))
            continue;
        RESULT(PRODDER, platform, tg_queue_wake(handle->object));
        handle_leave(handle, PROD);
    }
}

void *prod_main(void *arg)
{
    const atomic_bool *over = arg;

    while (!atomic_load(over)) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        rest_from_prods(true);
        for (int i = 0; i < PLATFORMS; i++) {
            if (!handle_use(&platforms[i].handle, PROD))
                continue;
            prod_platform(&platforms[i]);
            handle_leave(&platforms[i].handle, PROD);
        }
        rest_from_prods(false);
    }
    return NULL;
}
