/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * An embedder that filters its own system calls: everything works under a
 * filter that allows what tg_platform_add_seccomp_rules() asks for and, for
 * this program itself, the few calls listed below.
 *
 * usage: own_filter BACKEND
 */
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "guest.h"
#include "threads.h"

extern const unsigned char arguments_guest[];
extern const unsigned char arguments_guest_end[];

/* Printing, memory for printing, and the end of a thread and of the program. */
static const int own_calls[] = {SCMP_SYS(write), SCMP_SYS(brk),    SCMP_SYS(futex),      SCMP_SYS(madvise),
                                SCMP_SYS(exit),  SCMP_SYS(munmap), SCMP_SYS(exit_group), SCMP_SYS(rt_sigprocmask)};

static void refused_call(int signal, siginfo_t *info, void *context)
{
    char text[64];
    (void)signal;
    (void)context;
    const int length = snprintf(text, sizeof(text), "the filter refused system call %d\n", info->si_syscall);
    const ssize_t written = write(STDOUT_FILENO, text, (size_t)length);
    _exit(written == length ? 1 : 2);
}

/* On every thread, the library's own included, as an embedder that locks itself up would do it. */
static void load_filter(const tg_platform *platform)
{
    const struct sigaction action = {.sa_sigaction = refused_call, .sa_flags = SA_SIGINFO};
    CHECK_SYSTEM(sigaction(SIGSYS, &action, NULL));
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    CHECK(filter != NULL);
    for (size_t i = 0; i < sizeof(own_calls) / sizeof(own_calls[0]); i++)
        CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ALLOW, own_calls[i], 0), 0);
    const int result = tg_platform_add_seccomp_rules(platform, filter);
    if (result == -EOPNOTSUPP)
        SKIP("this library was built without libseccomp");
    CHECK_OK(result);
    CHECK_EQ(seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1), 0);
    CHECK_EQ(seccomp_load(filter), 0);
    seccomp_release(filter);
}

struct later {
    tg_platform *platform;
    pthread_barrier_t filtered;
    tg_subprocess *subprocess;
};

static tg_context *switch_once(tg_platform *platform, tg_subprocess *subprocess)
{
    tg_event event;
    tg_context *context = create_started_context(platform);
    run_context(context, subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_SYSCALL);
    return context;
}

/* Made before the filter, because making threads is the program's own business. */
static void *switch_when_filtered(void *argument)
{
    struct later *later = argument;
    pthread_barrier_wait(&later->filtered);
    pthread_barrier_wait(&later->filtered);
    tg_context_destroy(switch_once(later->platform, later->subprocess));
    return NULL;
}

static void use_queue(tg_platform *platform, tg_context *context, tg_subprocess *subprocess)
{
    tg_queue *queue = NULL;
    tg_event event = new_event();
    size_t count = 0;
    CHECK_OK(tg_queue_create(platform, &queue));
    CHECK_OK(tg_queue_submit(queue, context, subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 1);
    CHECK_KIND(&event, TG_EVENT_SYSCALL);
    CHECK_OK(tg_queue_wake(queue));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 0);
    tg_queue_destroy(queue);
}

static void use_context(tg_platform *platform, tg_subprocess *subprocess)
{
    const size_t size = platform_info(platform).fpstate_size;
    tg_event event;
    void *state = malloc(size);
    tg_context *context = switch_once(platform, subprocess);
    CHECK(state != NULL);
    CHECK_OK(tg_context_get_fpstate(context, state, size));
    CHECK_OK(tg_context_set_fpstate(context, state, size));
    CHECK_OK(tg_context_interrupt(context));
    run_context(context, subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    use_queue(platform, context, subprocess);
    tg_context_destroy(context);
    free(state);
}

static void use_everything(struct later *later)
{
    tg_subprocess *copy = NULL;
    later->subprocess =
        create_loaded_subprocess(later->platform, (struct guest_code){arguments_guest, arguments_guest_end});
    use_context(later->platform, later->subprocess);
    CHECK_OK(tg_subprocess_fork(later->subprocess, &copy));
    use_context(later->platform, copy);
    tg_subprocess_destroy(copy);
}

static uint32_t backend_by_name(const char *name)
{
    return strcmp(name, "systrap") == 0 ? TG_BACKEND_SYSTRAP : TG_BACKEND_PTRACE;
}

int main(int argc, char **argv)
{
    struct later later;
    if (argc != 2) {
        fprintf(stderr, "usage: own_filter BACKEND\n");
        return 2;
    }
    later.platform = open_platform(backend_by_name(argv[1]), 0);
    CHECK_EQ(pthread_barrier_init(&later.filtered, NULL, 2), 0);
    const pthread_t thread = start_thread(switch_when_filtered, &later);
    load_filter(later.platform);
    pthread_barrier_wait(&later.filtered);
    use_everything(&later);
    pthread_barrier_wait(&later.filtered);
    join_thread(thread);
    tg_subprocess_destroy(later.subprocess);
    tg_platform_close(later.platform);
    return 0;
}
