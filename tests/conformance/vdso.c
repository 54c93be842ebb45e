/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The host's vDSO in guests: TG_OPEN_VDSO. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "own_vdso.h"
#include "proc.h"
#include "refuse.h"

#define MOST_MAPPINGS 1024
#define NS_PER_SECOND 1000000000ull
#define HOT_CALLS     5000

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* ---- the host ---- */

/* The kernel's mappings whose name begins so: [first, end). False: there are none. */
static bool own_mappings(const char *name, uint64_t *start, uint64_t *end)
{
    static struct proc_mapping mappings[MOST_MAPPINGS];
    size_t count = proc_mappings(getpid(), mappings, MOST_MAPPINGS);

    *start = *end = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(mappings[i].name, name, strlen(name)) == 0) {
            *start = *start ? *start : mappings[i].start;
            *end = mappings[i].end;
        }
    return *end != 0;
}

/* What is sealed says so when its rights are set to what they are. */
static bool host_seals_it(void)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return mprotect((void *)(uintptr_t)own_vdso(), page, PROT_READ | PROT_EXEC) && errno == EPERM;
}

static int64_t now(void)
{
    struct timespec time;

    CHECK_SYSTEM(clock_gettime(CLOCK_MONOTONIC, &time));
    return (int64_t)time.tv_sec * (int64_t)NS_PER_SECOND + time.tv_nsec;
}

/* A clock source that programs cannot read makes a call of each look at a clock, natively too. */
static bool clock_needs_calls(void)
{
    int (*read_clock)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))(uintptr_t)(own_vdso() + own_vdso_clock_offset());
    pid_t child = CHECK_SYSTEM(fork());
    struct timespec time;
    int status;

    if (child == 0) {
        refuse_call(SYS_clock_gettime);
        _exit(read_clock(CLOCK_MONOTONIC, &time) != 0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    return status != 0;
}

/* ---- guests that look at a clock ---- */

static void open_guest(struct guest *guest, uint32_t backend)
{
    guest_open_flags(guest, backend, TG_OPEN_VDSO, GUEST_CODE(call_function));
    if (!platform_info(guest->platform).vdso && !own_vdso())
        SKIP("this host has no vDSO");
    CHECK(platform_info(guest->platform).vdso != 0);
}

static void set_arguments(const struct guest *guest, tg_context *context, uint64_t clock, uint64_t addr)
{
    arch_set_argument(context, 0, clock);
    arch_set_argument(context, 1, addr);
    arch_set_argument(context, 5, platform_info(guest->platform).vdso + own_vdso_clock_offset());
}

/* The next event is the one behind the function's return, and the time is right. */
static void check_clock(const struct guest *guest, tg_context *context, tg_subprocess *subprocess)
{
    tg_event event = new_event();
    int64_t before = now();
    int64_t time;

    set_arguments(guest, context, CLOCK_MONOTONIC, GUEST_DATA_AT);
    run_context(context, subprocess, &event);
    if (event.kind == TG_EVENT_SYSCALL && event.u.syscall.nr == SYS_clock_gettime && clock_needs_calls())
        SKIP("this host's clock source cannot be read without a call");
    CHECK_CALL(&event, GUEST_CALL);
    CHECK_EQ(arch_argument(context, 0), 0);
    time = (int64_t)(guest_load(subprocess, GUEST_DATA_AT) * NS_PER_SECOND +
                     guest_load(subprocess, GUEST_DATA_AT + sizeof(uint64_t)));
    CHECK(before <= time);
    CHECK(time <= now());
    CHECK_OK(tg_context_set_return(context, 0));
}

static void clock_without_event(uint32_t backend)
{
    struct guest guest;

    open_guest(&guest, backend);
    for (int i = 0; i < 100; i++)
        check_clock(&guest, guest.context, guest.subprocess);
    CHECK_EQ(platform_stats(guest.platform).syscalls, 100);
    guest_close(&guest);
}

static void copies_have_it(uint32_t backend)
{
    tg_subprocess *copy = NULL;
    tg_subprocess *copy_of_copy = NULL;
    struct guest guest;

    open_guest(&guest, backend);
    check_clock(&guest, guest.context, guest.subprocess);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    check_clock(&guest, guest.context, copy);
    CHECK_OK(tg_subprocess_fork(copy, &copy_of_copy));
    tg_subprocess_destroy(copy);
    check_clock(&guest, guest.context, copy_of_copy);
    check_clock(&guest, guest.context, guest.subprocess);
    tg_subprocess_destroy(copy_of_copy);
    guest_close(&guest);
}

static bool is_in_vdso(const struct guest *guest, uint64_t addr)
{
    uint64_t start;
    uint64_t end;

    CHECK(own_mappings("[vdso]", &start, &end));
    return addr - platform_info(guest->platform).vdso < end - start;
}

/* However hot it is, the code stays as it is. */
static void other_clocks_are_calls(uint32_t backend)
{
    struct guest guest;
    tg_stats stats;

    open_guest(&guest, backend);
    for (int i = 0; i < HOT_CALLS; i++) {
        set_arguments(&guest, guest.context, CLOCK_PROCESS_CPUTIME_ID, GUEST_DATA_AT);
        guest_run(&guest);
        CHECK_CALL(&guest.event, SYS_clock_gettime);
        CHECK_EQ(guest.event.u.syscall.args[0], CLOCK_PROCESS_CPUTIME_ID);
        CHECK_EQ(guest.event.u.syscall.args[1], GUEST_DATA_AT);
        CHECK(is_in_vdso(&guest, guest.event.u.syscall.ip));
        CHECK(!(guest.event.flags & TG_FLAG_PATCHED));
        CHECK_OK(tg_context_set_return(guest.context, -EDOM));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(arch_argument(guest.context, 0), -EDOM);
    }
    stats = platform_stats(guest.platform);
    CHECK(stats.patch_sites <= 1);
    if (platform_info(guest.platform).capabilities & TG_CAP_PATCHING)
        CHECK(stats.patch_refusals[TG_PATCH_REFUSED_MAPPING] > 0);
    guest_close(&guest);
}

static void fault_in_it(uint32_t backend)
{
    struct guest guest;

    open_guest(&guest, backend);
    check_clock(&guest, guest.context, guest.subprocess);
    set_arguments(&guest, guest.context, CLOCK_MONOTONIC, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    CHECK(is_in_vdso(&guest, guest.event.u.fault.ip));
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(arch_argument(guest.context, 0), 0);
    CHECK(guest_load(guest.subprocess, GUEST_HOLE_AT) != 0);
    guest_close(&guest);
}

/* ---- what it is not ---- */

static void not_without_asking(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);

    CHECK_EQ(platform_info(platform).vdso, 0);
    CHECK(platform_info(platform).capabilities != 0);
    if (platform_info(platform).capabilities & TG_CAP_TRAP_TSC) {
        tg_platform_close(platform);
        platform = open_platform(backend, TG_OPEN_VDSO | TG_OPEN_TRAP_TSC);
        CHECK_EQ(platform_info(platform).vdso, 0);
    }
    tg_platform_close(platform);
}

static void nobody_changes_it(uint32_t backend)
{
    const uint64_t word = 0;
    struct guest guest;
    uint64_t vdso;

    open_guest(&guest, backend);
    vdso = platform_info(guest.platform).vdso;
    CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, vdso, guest.page), -EINVAL);
    CHECK_RESULT(tg_subprocess_protect(guest.subprocess, vdso, guest.page, PROT_RW), -EINVAL);
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, vdso - guest.page, guest.page, PROT_RW, 0, -1, 0), -EINVAL);
    if (vdso >= platform_info(guest.platform).user_end)
        CHECK_RESULT(tg_subprocess_write(guest.subprocess, vdso, &word, sizeof(word), NULL), -EFAULT);
    for (uint64_t addr = vdso - guest.page; addr <= vdso; addr += guest.page) {
        set_arguments(&guest, guest.context, CLOCK_MONOTONIC, addr);
        guest_run(&guest);
        CHECK_FAULT(&guest.event, addr, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
        guest_restart(&guest);
    }
    check_clock(&guest, guest.context, guest.subprocess);
    guest_close(&guest);
}

/* ---- what else is there ---- */

static bool is_the_kernels(const struct proc_mapping *mapping)
{
    return mapping->name[0] == '[' && mapping->name[1] == 'v';
}

/* By name: the kernel's, the library's file, or nothing but memory. */
static bool may_be_there(const struct proc_mapping *mapping)
{
    return !mapping->name[0] || is_the_kernels(mapping) || strncmp(mapping->name, "/memfd:trapgate", 15) == 0;
}

/* Of pages without any right /proc shows zeros. */
static bool has_bytes(int memory, uint64_t addr, uint64_t page)
{
    static char bytes[65536];

    CHECK(page <= sizeof(bytes));
    if (pread(memory, bytes, page, (off_t)addr) != (ssize_t)page)
        return false;
    return bytes[0] || memcmp(bytes, bytes + 1, page - 1) != 0;
}

/* Of what the host lets others read there. */
static uint64_t bytes_between(pid_t pid, uint64_t start, uint64_t end, uint64_t page)
{
    uint64_t bytes = 0;
    char path[64];
    int memory;

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        SKIP("this host does not let a process read the memory of its child: %m");
    for (uint64_t addr = start; addr < end; addr += page)
        bytes += has_bytes(memory, addr, page) ? page : 0;
    close(memory);
    return bytes;
}

/* All of the code is there, and nothing beside code and data. Whether others can read the data differs by kernel. */
static void check_alone(const struct guest *guest, uint64_t data_size, uint64_t code_size)
{
    const pid_t pid = tg_subprocess_pid(guest->subprocess);
    const uint64_t vdso = platform_info(guest->platform).vdso;
    const uint64_t around = 16 * guest->page;
    struct proc_mapping mappings[64];
    size_t count = proc_mappings(pid, mappings, ARRAY_SIZE(mappings));

    CHECK(count > 0 && count <= ARRAY_SIZE(mappings));
    for (size_t i = 0; i < count; i++)
        if (!may_be_there(&mappings[i]))
            check_failed(CHECK_HERE, "0x%llx %s is in a stub", (unsigned long long)mappings[i].start, mappings[i].name);
    CHECK_EQ(bytes_between(pid, vdso, vdso + code_size, guest->page), code_size);
    CHECK_EQ(bytes_between(pid, vdso + code_size, vdso + around, guest->page), 0);
    CHECK_EQ(bytes_between(pid, vdso - around, vdso - data_size, guest->page), 0);
}

static void put_neighbours(uint64_t start, uint64_t end, uint64_t page, int file)
{
    static const char secret[] = "correct horse battery staple";

    CHECK_EQ(CHECK_SYSTEM(pwrite(file, secret, sizeof(secret), 0)), sizeof(secret));
    CHECK_SYSTEM(ftruncate(file, (off_t)(2 * page)));
    mmap((void *)(uintptr_t)end, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE, file, 0);
    mmap((void *)(uintptr_t)(start - page), page, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
    mmap((void *)(uintptr_t)(start - 2 * page), page, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* What the embedder has beside it stays with the embedder. */
static void nothing_else_comes_along(uint32_t backend)
{
    int file = CHECK_SYSTEM(memfd_create("secret", MFD_CLOEXEC));
    char byte = 0;
    struct guest guest;
    uint64_t start;
    uint64_t end;
    uint64_t data;

    CHECK(own_mappings("[vdso]", &start, &end));
    CHECK(own_mappings("[vvar", &data, &start));
    if (host_seals_it())
        SKIP("this host seals its vDSO, so it is not moved");
    open_guest(&guest, backend);
    check_alone(&guest, start - data, end - start);
    guest_close(&guest);
    put_neighbours(data, end, guest.page, file);
    open_guest(&guest, backend);
    check_alone(&guest, start - data, end - start);
    check_clock(&guest, guest.context, guest.subprocess);
    guest_close(&guest);
    CHECK_EQ(CHECK_SYSTEM(pread(file, &byte, 1, 0)), 1);
    CHECK_EQ(byte, 'c');
    close(file);
}

/* ---- where it cannot be moved ---- */

static void run_in_child(void (*run)(uint32_t backend, uint64_t argument), uint32_t backend, uint64_t argument)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0) {
        run(backend, argument);
        _exit(0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
}

static void open_without_call(uint32_t backend, uint64_t number)
{
    struct guest guest;

    refuse_call((uint32_t)number);
    guest_open_flags(&guest, backend, TG_OPEN_VDSO, GUEST_CODE(counting_calls));
    CHECK_EQ(platform_info(guest.platform).vdso, 0);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

static void none_where_refused(uint32_t backend)
{
    if (host_seals_it())
        SKIP("this host seals its vDSO, so it is there anyway");
    run_in_child(open_without_call, backend, SYS_mremap);
    run_in_child(open_without_call, backend, SYS_madvise);
}

#define SEAL_CODE 1
#define SEAL_DATA 2

static void open_sealed(uint32_t backend, uint64_t what)
{
    struct guest guest;
    uint64_t start;
    uint64_t end;

    CHECK(own_mappings("[vdso]", &start, &end));
    if (what & SEAL_CODE)
        CHECK_SYSTEM(syscall(SYS_mseal, start, end - start, 0));
    CHECK(own_mappings("[vvar", &start, &end));
    if (what & SEAL_DATA)
        CHECK_SYSTEM(syscall(SYS_mseal, start, end - start, 0));
    guest_open_flags(&guest, backend, TG_OPEN_VDSO, GUEST_CODE(call_function));
    if (what == (SEAL_CODE | SEAL_DATA)) {
        CHECK_EQ(platform_info(guest.platform).vdso, own_vdso());
        check_clock(&guest, guest.context, guest.subprocess);
    } else {
        CHECK_EQ(platform_info(guest.platform).vdso, 0);
    }
    guest_close(&guest);
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    CHECK_EQ(platform_info(guest.platform).vdso, 0);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

static void in_place_where_sealed(uint32_t backend)
{
    if (syscall(SYS_mseal, 0, 0, 0))
        SKIP("this kernel has no mseal(2)");
    if (clock_needs_calls())
        SKIP("this host's clock source cannot be read without a call");
    run_in_child(open_sealed, backend, SEAL_CODE | SEAL_DATA);
    if (host_seals_it())
        return;
    run_in_child(open_sealed, backend, SEAL_CODE);
    run_in_child(open_sealed, backend, SEAL_DATA);
}

const struct test_case vdso_cases[] = {
    {"vdso.clock", "A guest that looks at the clock through the vDSO makes no event, and the time is right",
     clock_without_event},
    {"vdso.fork", "Copies of a subprocess have it at the same address, and copies of those", copies_have_it},
    {"vdso.calls", "A clock that it does not know is a call as any other, which is never patched",
     other_clocks_are_calls},
    {"vdso.fault", "A pointer that leads nowhere is a fault in it, and can be served", fault_in_it},
    {"vdso.off", "There is none unless TG_OPEN_VDSO asks for it, nor where RDTSC traps", not_without_asking},
    {"vdso.constant", "Neither the guest nor a memory operation changes it", nobody_changes_it},
    {"vdso.alone", "What the embedder has mapped beside its own does not come along", nothing_else_comes_along},
    {"vdso.refused", "Where the host refuses to move it there is none, and guests run", none_where_refused},
    {"vdso.sealed", "A vDSO that the host has sealed stays where it is, and guests can use it", in_place_where_sealed},
    {0},
};
