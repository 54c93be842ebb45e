/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a guest can reach: nothing of the embedder, nothing of other guests. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"

#define MOST_MAPPINGS 64
#define PAGE_BYTES    4096 /* at least */

/* Above user space, or in a range that is taken out of it. */
static bool is_the_librarys(const tg_info *info, const struct proc_mapping *mapping)
{
    uint32_t i;

    if (mapping->start >= info->user_end)
        return true;
    for (i = 0; i < info->reserved_count; i++) {
        if (info->reserved[i].start <= mapping->start && mapping->end <= info->reserved[i].end)
            return true;
    }
    return false;
}

/* The kernel shows one page of its own to every process, outside of user space. */
static bool is_kernel_page(const struct proc_mapping *mapping)
{
    return strcmp(mapping->name, "[vsyscall]") == 0 || strcmp(mapping->name, "[vectors]") == 0;
}

static void check_only_stub_pages(const tg_platform *platform, const tg_subprocess *subprocess)
{
    struct proc_mapping mappings[MOST_MAPPINGS];
    tg_info info = platform_info(platform);
    size_t count = proc_mappings(tg_subprocess_pid(subprocess), mappings, MOST_MAPPINGS);
    size_t i;

    CHECK(count <= MOST_MAPPINGS);
    for (i = 0; i < count; i++) {
        if (!is_kernel_page(&mappings[i]) && !is_the_librarys(&info, &mappings[i]))
            check_failed(CHECK_HERE, "mapping 0x%llx-0x%llx %s is in a fresh subprocess",
                         (unsigned long long)mappings[i].start, (unsigned long long)mappings[i].end, mappings[i].name);
    }
}

static void check_only_stub_pages_with(uint32_t backend, uint64_t flags)
{
    tg_platform *platform = open_platform(backend, flags);
    tg_subprocess *first = create_subprocess(platform);
    tg_subprocess *second = create_subprocess(platform);
    tg_subprocess *copy = NULL;

    check_only_stub_pages(platform, first);
    check_only_stub_pages(platform, second);
    CHECK_OK(tg_subprocess_fork(first, &copy));
    check_only_stub_pages(platform, copy);
    tg_platform_close(platform);
}

static void only_stub_pages(uint32_t backend)
{
    check_only_stub_pages_with(backend, 0);
    check_only_stub_pages_with(backend, TG_OPEN_VDSO);
    check_only_stub_pages_with(backend, TG_OPEN_VDSO_OWN);
}

/* Also after it ran, mapped, and lost everything again. */
static void only_stub_pages_after_use(uint32_t backend)
{
    struct guest guest;
    tg_info info;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    info = platform_info(guest.platform);
    CHECK(info.user_start < GUEST_CODE_AT);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, GUEST_CODE_AT, GUEST_HOLE_AT - GUEST_CODE_AT));
    check_only_stub_pages(guest.platform, guest.subprocess);
    guest_close(&guest);
}

/* Goes through all of the embedder's mappings and looks for each in the guest. */
static void embedder_pages_are_not_there(uint32_t backend)
{
    enum { MOST = 1024 };
    struct proc_mapping *mappings = calloc(MOST, sizeof(*mappings));
    tg_info info;
    struct guest guest;
    size_t count;
    size_t i;

    CHECK(mappings != NULL);
    guest_open_flags(&guest, backend, TG_OPEN_VDSO, GUEST_CODE(read_calls));
    info = platform_info(guest.platform);
    count = proc_mappings(getpid(), mappings, MOST);
    CHECK(count <= MOST);
    for (i = 0; i < count; i++) {
        if (is_kernel_page(&mappings[i]) || is_the_librarys(&info, &mappings[i]))
            continue;
        check_context("embedder's mapping at 0x%llx %s", (unsigned long long)mappings[i].start, mappings[i].name);
        guest_restart(&guest);
        arch_set_argument(guest.context, 0, mappings[i].start);
        guest_run(&guest);
        CHECK_FAULT(&guest.event, mappings[i].start, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    }
    guest_close(&guest);
    free(mappings);
}

static bool holds_secret(int memory, const struct proc_mapping *mapping, const char *secret, size_t length)
{
    static char pages[16 * PAGE_BYTES];
    uint64_t addr = mapping->start;

    while (addr < mapping->end) {
        const uint64_t left = mapping->end - addr;
        const ssize_t count = pread(memory, pages, left < sizeof(pages) ? left : sizeof(pages), (off_t)addr);

        if (count > 0 && memmem(pages, (size_t)count, secret, length))
            return true;
        addr += count > 0 ? (uint64_t)count : PAGE_BYTES;
    }
    return false;
}

/* The pages that the stub keeps hold nothing of the embedder's either. */
static void check_no_secret(uint32_t backend, uint64_t flags)
{
    static const char secret[] = "correct horse battery staple";
    struct proc_mapping mappings[MOST_MAPPINGS];
    tg_platform *platform;
    tg_subprocess *subprocess;
    char path[64];
    size_t count;
    size_t i;
    int memory;

    CHECK_SYSTEM(setenv("CONFORMANCE_SECRET", secret, 1));
    platform = open_platform(backend, flags);
    subprocess = create_subprocess(platform);
    snprintf(path, sizeof(path), "/proc/%d/mem", tg_subprocess_pid(subprocess));
    memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        SKIP("this host does not let a process read the memory of its child: %m");
    count = proc_mappings(tg_subprocess_pid(subprocess), mappings, MOST_MAPPINGS);
    CHECK(count > 0 && count <= MOST_MAPPINGS);
    for (i = 0; i < count; i++)
        CHECK(is_kernel_page(&mappings[i]) || !holds_secret(memory, &mappings[i], secret, strlen(secret)));
    close(memory);
    tg_platform_close(platform);
}

static void stub_pages_hold_no_secret(uint32_t backend)
{
    check_no_secret(backend, TG_OPEN_VDSO);
    check_no_secret(backend, TG_OPEN_VDSO_OWN);
}

static void environment_is_gone(uint32_t backend)
{
    char path[64];
    char text[256];
    struct guest guest;
    ssize_t length;
    int file;

    CHECK_SYSTEM(setenv("CONFORMANCE_SECRET", "correct horse battery staple", 1));
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    snprintf(path, sizeof(path), "/proc/%d/environ", tg_subprocess_pid(guest.subprocess));
    file = open(path, O_RDONLY | O_CLOEXEC);
    length = file < 0 ? -1 : read(file, text, sizeof(text));
    CHECK(length <= 0);
    if (file >= 0)
        close(file);
    guest_close(&guest);
}

/* No page of a stub is writable and executable at once. */
static void no_writable_code(uint32_t backend)
{
    char path[64];
    char line[512];
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *subprocess = create_subprocess(platform);
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/maps", tg_subprocess_pid(subprocess));
    file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file)) {
        char rights[8];

        CHECK_EQ(sscanf(line, "%*s %7s", rights), 1);
        CHECK(!(rights[1] == 'w' && rights[2] == 'x'));
    }
    fclose(file);
    tg_platform_close(platform);
}

static long long status_field(pid_t pid, const char *format)
{
    char path[64];
    char line[256];
    long long value = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file))
        sscanf(line, format, &value);
    fclose(file);
    return value;
}

/* What remains if a guest ever got to run a call for real: a filter that cannot be taken off. */
static void stub_is_filtered(uint32_t backend)
{
    struct guest guest;
    pid_t pid;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    pid = tg_subprocess_pid(guest.subprocess);
    CHECK_EQ(status_field(pid, "NoNewPrivs:\t%lld"), 1);
    CHECK_EQ(status_field(pid, "Seccomp:\t%lld"), 2);
    guest_close(&guest);
}

/* The stub cannot keep a pipe, socket or lock of the embedder open that the embedder closes. */
static void descriptors_are_not_held(uint32_t backend)
{
    struct guest guest;
    char byte;
    int ends[2];

    CHECK_SYSTEM(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(close(ends[1]));
    CHECK_EQ(CHECK_SYSTEM(read(ends[0], &byte, 1)), 0);
    close(ends[0]);
    guest_close(&guest);
}

static void descriptors_opened_later_are_not_held(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;
    char byte;
    int ends[2];

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_SYSTEM(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(close(ends[1]));
    CHECK_EQ(CHECK_SYSTEM(read(ends[0], &byte, 1)), 0);
    close(ends[0]);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

/*
 * The library's secret travels in argument registers, and /proc shows those of
 * a thread that sleeps in a call: five of the words are numbers and one address.
 */
static void check_parked(pid_t pid)
{
    unsigned long long args[6];
    char path[64];
    FILE *file;
    int got;
    int i;

    snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
    do {
        file = fopen(path, "re");
        if (!file)
            SKIP("%s: %m", path);
        got = fscanf(file, "%*d %llx %llx %llx %llx %llx %llx", &args[0], &args[1], &args[2], &args[3], &args[4],
                     &args[5]);
        fclose(file);
    } while (got != 6); /* "running": it is on its way to sleep */
    for (i = 0; i < 6; i++) {
        check_context("argument %d of thread %d", i, pid);
        if (i != 3)
            CHECK(args[i] <= 8);
    }
}

static void parked_threads_hold_nothing(uint32_t backend)
{
    tg_subprocess *child;
    struct guest guest;

    if (backend != TG_BACKEND_PTRACE)
        SKIP("only stubs that are traced park their threads");
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &child));
    check_parked(tg_subprocess_pid(guest.subprocess));
    check_parked(tg_subprocess_pid(child));
    guest_close(&guest);
}

const struct test_case isolation_cases[] = {
    {"isolation.only_stub_pages", "A fresh subprocess maps nothing in the address range of guests", only_stub_pages},
    {"isolation.only_stub_pages_after_use", "The same after use, when everything was unmapped",
     only_stub_pages_after_use},
    {"isolation.embedder_pages", "None of the embedder's mappings can be read by a guest",
     embedder_pages_are_not_there},
    {"isolation.no_secret", "The stub's own pages hold nothing of the embedder's memory", stub_pages_hold_no_secret},
    {"isolation.environment", "The embedder's environment cannot be read through the stub", environment_is_gone},
    {"isolation.no_writable_code", "No page of a stub is writable and executable", no_writable_code},
    {"isolation.parked_threads", "A stub thread that waits to be used has no secret in the registers that /proc shows",
     parked_threads_hold_nothing},
    {"isolation.filtered", "The stub has a seccomp filter and cannot gain privileges", stub_is_filtered},
    {"isolation.descriptors", "A descriptor that the embedder closes is closed: no stub keeps it open",
     descriptors_are_not_held},
    {"isolation.descriptors_later", "The same for descriptors opened after the platform",
     descriptors_opened_later_are_not_held},
    {0},
};
