/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * An embedder that filters its own system calls: everything works under a
 * filter that allows what tg_platform_add_seccomp_rules() asks for and, for
 * this program itself, the few calls listed below. Without /proc and /sys,
 * where the test may hide them: the C library then asks the kernel instead.
 * With so many threads that its allocator, which has a part of its memory for
 * each, counts the processors.
 *
 * usage: own_filter BACKEND [forbidden]
 * forbidden: the host lets nobody copy memory of other processes (systrap)
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "backend_names.h"
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

#define THREADS  40
#define SWITCHES 20 /* so that the call is patched */

/* Copies of guest memory that the stub has to make itself. */
static void forbid_copies(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    CHECK(filter != NULL);
    CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(process_vm_readv), 0), 0);
    CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(process_vm_writev), 0), 0);
    CHECK_EQ(seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1), 0);
    CHECK_EQ(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static void hide_proc_and_sys(void)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "/proc", "tmpfs", 0, NULL) || mount("none", "/sys", "tmpfs", 0, NULL))
        printf("with /proc and /sys: %m\n");
}

static tg_context *switch_once(tg_platform *platform, tg_subprocess *subprocess)
{
    tg_event event;
    tg_context *context = create_started_context(platform);
    for (int i = 0; i < SWITCHES; i++) {
        run_context(context, subprocess, &event);
        CHECK_KIND(&event, TG_EVENT_SYSCALL);
    }
    return context;
}

static void use_memory(tg_subprocess *subprocess, uint64_t addr)
{
    map_pages(subprocess, addr, GUEST_CODE_SIZE, PROT_RW);
    guest_store(subprocess, addr, 42);
    CHECK_EQ(guest_load(subprocess, addr), 42);
    CHECK_OK(tg_subprocess_unmap(subprocess, addr, GUEST_CODE_SIZE));
}

/* Made before the filter, because making threads is the program's own business. */
static void *switch_when_filtered(void *argument)
{
    struct later *later = argument;
    pthread_barrier_wait(&later->filtered);
    pthread_barrier_wait(&later->filtered);
    tg_context *context = switch_once(later->platform, later->subprocess);
    /* Everybody has a context at the same time. */
    pthread_barrier_wait(&later->filtered);
    tg_context_destroy(context);
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
    CHECK_OK(tg_queue_wait(queue, &event, 1, 1000000, &count));
    CHECK_EQ(count, 0);
    CHECK_OK(tg_queue_wake(queue));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 0);
    tg_queue_destroy(queue);
}

static void use_queue_descriptor(tg_platform *platform, tg_context *context, tg_subprocess *subprocess)
{
    tg_queue *queue = NULL;
    tg_event event = new_event();
    size_t count = 0;
    CHECK_OK(tg_queue_create(platform, &queue));
    CHECK(tg_queue_fd(queue) >= 0);
    CHECK_OK(tg_queue_submit(queue, context, subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 1);
    CHECK_OK(tg_queue_wait(queue, &event, 1, 1000000, &count));
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
    use_queue_descriptor(platform, context, subprocess);
    use_memory(subprocess, GUEST_HOLE_AT);
    tg_context_destroy(context);
    free(state);
}

/* Killed by the embedder: kill(2) is allowed by the rules of both backends. */
static void see_it_die(tg_platform *platform, tg_subprocess *subprocess)
{
    tg_context *context = create_started_context(platform);
    tg_event event = new_event();
    CHECK_SYSTEM(kill(tg_subprocess_pid(subprocess), SIGKILL));
    do
        run_context(context, subprocess, &event);
    while (event.kind == TG_EVENT_SYSCALL);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    tg_context_destroy(context);
}

static void use_everything(struct later *later)
{
    tg_subprocess *copy = NULL;
    later->subprocess =
        create_loaded_subprocess(later->platform, (struct guest_code){arguments_guest, arguments_guest_end});
    use_context(later->platform, later->subprocess);
    CHECK_OK(tg_subprocess_fork(later->subprocess, &copy));
    use_context(later->platform, copy);
    see_it_die(later->platform, copy);
    tg_subprocess_destroy(copy);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct later later;
    if ((argc != 2 && !(argc == 3 && strcmp(argv[2], "forbidden") == 0)) || !backend_by_name(argv[1])) {
        fprintf(stderr, "usage: own_filter BACKEND [forbidden]\n");
        return 2;
    }
    /* Before there are threads, each of which would keep what it sees. */
    hide_proc_and_sys();
    later.platform = open_platform(backend_by_name(argv[1]), 0);
    CHECK_EQ(pthread_barrier_init(&later.filtered, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start_thread(switch_when_filtered, &later);
    if (backend_by_name(argv[1]) == TG_BACKEND_SYSTRAP && argc == 3)
        forbid_copies();
    load_filter(later.platform);
    pthread_barrier_wait(&later.filtered);
    use_everything(&later);
    pthread_barrier_wait(&later.filtered);
    pthread_barrier_wait(&later.filtered);
    for (size_t i = 0; i < THREADS; i++)
        join_thread(threads[i]);
    tg_subprocess_destroy(later.subprocess);
    tg_platform_close(later.platform);
    return 0;
}
