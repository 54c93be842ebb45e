/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The library's own vDSO in guests, and the clocks that it shows: TG_OPEN_VDSO_OWN. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
#include "threads.h"

#define IMAGE_SIZE    8192
#define NS_PER_SECOND 1000000000ull
#define HOT_CALLS     5000
#define CHANGES       20000
#define SOME_NS       1234567890123456789ull
#define TICK_NS       ((uint64_t)1 << 31) /* half a nanosecond for each tick */
#define FOLLOWED      40

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static const uint32_t settable[] = {
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME, CLOCK_TAI};

/* ---- the guest ---- */

/* What guests can read there; its place is the same in all of a platform. */
static void read_image(const struct guest *guest, uint64_t addr, void *image, size_t size)
{
    char path[64];
    int memory;

    snprintf(path, sizeof(path), "/proc/%d/mem", tg_subprocess_pid(guest->subprocess));
    memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        SKIP("this host does not let a process read the memory of its child: %m");
    CHECK_EQ(CHECK_SYSTEM(pread(memory, image, size, (off_t)addr)), (ssize_t)size);
    close(memory);
}

static uint64_t clock_function(const struct guest *guest)
{
    const uint64_t vdso = platform_info(guest->platform).vdso;
    static uint64_t image[4096 / sizeof(uint64_t)];

    read_image(guest, vdso, image, sizeof(image));
    return vdso + vdso_clock_offset(image);
}

static void check_own(const struct guest *guest)
{
    tg_info info = platform_info(guest->platform);

    if (!info.vdso)
        SKIP("there is no vDSO of the library's own for this processor");
    CHECK_EQ(info.vdso_kind, TG_VDSO_OWN);
    CHECK(info.vdso >= info.user_end);
}

static void open_code(struct guest *guest, uint32_t backend, uint64_t flags, struct guest_code code)
{
    guest_open_flags(guest, backend, flags, code);
    check_own(guest);
}

static void open_guest(struct guest *guest, uint32_t backend)
{
    open_code(guest, backend, TG_OPEN_VDSO_OWN, GUEST_CODE(call_function));
}

/* A counter that differs from processor to processor is none to compare times by; the kernel takes it off this list. */
static bool counter_is_unstable(void)
{
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/available_clocksource", "re");
    char sources[256] = "";
    bool known;

    if (!file)
        return false;
    known = fgets(sources, sizeof(sources), file) != NULL;
    fclose(file);
    return known && !strstr(sources, "tsc");
}

static void need_counter(const struct guest *guest)
{
    if (!tg_platform_counter(guest->platform))
        SKIP("this process cannot read the counter");
    if (counter_is_unstable())
        SKIP("this host has found its counter unstable");
}

static void set_arguments(const struct guest *guest, uint64_t clock, uint64_t addr)
{
    arch_set_argument(guest->context, 0, clock);
    arch_set_argument(guest->context, 1, addr);
    arch_set_argument(guest->context, 5, clock_function(guest));
}

/* What the guest reads of the clock, without an event in between. */
static uint64_t look(struct guest *guest, tg_subprocess *subprocess, uint32_t clock)
{
    set_arguments(guest, clock, GUEST_DATA_AT);
    run_context(guest->context, subprocess, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    CHECK_EQ(arch_argument(guest->context, 0), 0);
    CHECK_OK(tg_context_set_return(guest->context, 0));
    CHECK(guest_load(subprocess, GUEST_DATA_AT + sizeof(uint64_t)) < NS_PER_SECOND);
    return guest_load(subprocess, GUEST_DATA_AT) * NS_PER_SECOND +
           guest_load(subprocess, GUEST_DATA_AT + sizeof(uint64_t));
}

static bool is_in_vdso(const struct guest *guest, uint64_t addr)
{
    return addr - platform_info(guest->platform).vdso < IMAGE_SIZE;
}

/* The guest makes the call, and goes on with what it is answered. */
static void look_by_call(struct guest *guest, tg_subprocess *subprocess, uint32_t clock)
{
    set_arguments(guest, clock, GUEST_DATA_AT);
    run_context(guest->context, subprocess, &guest->event);
    CHECK_CALL(&guest->event, SYS_clock_gettime);
    CHECK_EQ(guest->event.u.syscall.args[0], clock);
    CHECK_EQ(guest->event.u.syscall.args[1], GUEST_DATA_AT);
    CHECK(is_in_vdso(guest, guest->event.u.syscall.ip));
    CHECK(!(guest->event.flags & TG_FLAG_PATCHED));
    CHECK_OK(tg_context_set_return(guest->context, -EDOM));
    run_context(guest->context, subprocess, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    CHECK_EQ(arch_argument(guest->context, 0), -EDOM);
    CHECK_OK(tg_context_set_return(guest->context, 0));
}

/* ---- parameters ---- */

static tg_clock standing(uint32_t clock, uint64_t ns)
{
    return (tg_clock){.size = sizeof(tg_clock), .clock = clock, .kind = TG_CLOCK_TIME, .base_ns = ns};
}

static tg_clock running(const struct guest *guest, uint32_t clock, uint64_t ns)
{
    tg_clock line = standing(clock, ns);

    line.base_counter = tg_platform_counter(guest->platform);
    line.multiplier = TICK_NS;
    return line;
}

static void set(tg_subprocess *subprocess, tg_clock clock)
{
    CHECK_OK(tg_subprocess_set_clocks(subprocess, &clock, 1));
}

static uint64_t seen_by_library(tg_subprocess *subprocess, uint32_t clock)
{
    tg_clock now = {.size = sizeof(now)};
    uint64_t ns = 0;

    CHECK_OK(tg_subprocess_clock(subprocess, clock, &now, &ns));
    CHECK_EQ(now.clock, clock);
    return ns;
}

/* ---- cases ---- */

static void time_is_what_was_said(uint32_t backend)
{
    tg_clock all[ARRAY_SIZE(settable)];
    struct guest guest;

    open_guest(&guest, backend);
    for (size_t i = 0; i < ARRAY_SIZE(settable); i++)
        all[i] = standing(settable[i], SOME_NS + i);
    CHECK_OK(tg_subprocess_set_clocks(guest.subprocess, all, ARRAY_SIZE(all)));
    for (size_t i = 0; i < ARRAY_SIZE(settable); i++) {
        CHECK_EQ(look(&guest, guest.subprocess, settable[i]), SOME_NS + i);
        CHECK_EQ(seen_by_library(guest.subprocess, settable[i]), SOME_NS + i);
    }
    CHECK_EQ(platform_stats(guest.platform).syscalls, ARRAY_SIZE(settable));
    set(guest.subprocess, standing(CLOCK_MONOTONIC, 0));
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), 0);
    guest_close(&guest);
}

static void check_between(struct guest *guest, const tg_clock *line)
{
    const uint64_t before = tg_platform_counter(guest->platform);
    const uint64_t time = look(guest, guest->subprocess, line->clock);
    const uint64_t after = tg_platform_counter(guest->platform);

    CHECK(time >= line->base_ns + (before - line->base_counter) / 2);
    CHECK(time <= line->base_ns + (after - line->base_counter) / 2);
}

/* Right behind its begin, where a second ends, and long after it. */
static void seconds_are_counted(uint32_t backend)
{
    struct guest guest;
    tg_clock line;

    open_guest(&guest, backend);
    need_counter(&guest);
    line = running(&guest, CLOCK_MONOTONIC, NS_PER_SECOND - 1);
    for (uint64_t seconds = 0; seconds < 12; seconds++) {
        line.base_counter = tg_platform_counter(guest.platform) - 2 * seconds * NS_PER_SECOND;
        set(guest.subprocess, line);
        check_between(&guest, &line);
    }
    line.base_counter = 0;
    set(guest.subprocess, line);
    check_between(&guest, &line);
    guest_close(&guest);
}

/* What the library says in answer to calls is in step with what the guest reads itself. */
static void time_goes_by_the_counter(uint32_t backend)
{
    struct guest guest;
    uint64_t last = 0;
    tg_clock line;

    open_guest(&guest, backend);
    need_counter(&guest);
    line = running(&guest, CLOCK_BOOTTIME, SOME_NS);
    set(guest.subprocess, line);
    for (int i = 0; i < 200; i++) {
        const uint64_t before = tg_platform_counter(guest.platform);
        const uint64_t time = look(&guest, guest.subprocess, CLOCK_BOOTTIME);
        const uint64_t after = tg_platform_counter(guest.platform);

        CHECK(time >= SOME_NS + (before - line.base_counter) / 2);
        CHECK(time <= SOME_NS + (after - line.base_counter) / 2);
        CHECK(time >= last);
        last = seen_by_library(guest.subprocess, CLOCK_BOOTTIME);
        CHECK(last >= time);
    }
    line.base_counter = UINT64_MAX;
    set(guest.subprocess, line);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_BOOTTIME), SOME_NS);
    guest_close(&guest);
}

/* Clocks that nobody has set, and those that nobody can, however hot the code is. */
static void unset_clocks_are_calls(uint32_t backend)
{
    static const uint32_t others[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, 15, 16, 99, UINT32_MAX};
    tg_clock now = {.size = sizeof(now)};
    struct guest guest;

    open_guest(&guest, backend);
    for (int i = 0; i < HOT_CALLS; i++)
        look_by_call(&guest, guest.subprocess, CLOCK_MONOTONIC);
    CHECK(platform_stats(guest.platform).patch_sites <= 1);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    look_by_call(&guest, guest.subprocess, CLOCK_REALTIME);
    for (size_t i = 0; i < ARRAY_SIZE(others) - 1; i++)
        look_by_call(&guest, guest.subprocess, others[i]);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    set(guest.subprocess, (tg_clock){.size = sizeof(tg_clock), .clock = CLOCK_MONOTONIC});
    look_by_call(&guest, guest.subprocess, CLOCK_MONOTONIC);
    CHECK_OK(tg_subprocess_clock(guest.subprocess, CLOCK_MONOTONIC, &now, NULL));
    CHECK_EQ(now.kind, TG_CLOCK_CALL);
    CHECK_EQ(seen_by_library(guest.subprocess, CLOCK_MONOTONIC), 0);
    guest_close(&guest);
}

static void copies_begin_with_it(uint32_t backend)
{
    tg_subprocess *copy = NULL;
    tg_subprocess *copy_of_copy = NULL;
    struct guest guest;

    open_guest(&guest, backend);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    CHECK_EQ(look(&guest, copy, CLOCK_MONOTONIC), SOME_NS);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS + 1));
    set(copy, standing(CLOCK_REALTIME, SOME_NS + 2));
    CHECK_EQ(look(&guest, copy, CLOCK_MONOTONIC), SOME_NS);
    CHECK_OK(tg_subprocess_fork(copy, &copy_of_copy));
    tg_subprocess_destroy(copy);
    CHECK_EQ(look(&guest, copy_of_copy, CLOCK_MONOTONIC), SOME_NS);
    CHECK_EQ(look(&guest, copy_of_copy, CLOCK_REALTIME), SOME_NS + 2);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS + 1);
    look_by_call(&guest, guest.subprocess, CLOCK_REALTIME);
    tg_subprocess_destroy(copy_of_copy);
    copy = create_loaded_subprocess(guest.platform, GUEST_CODE(call_function));
    look_by_call(&guest, copy, CLOCK_MONOTONIC);
    guest_close(&guest);
}

/* Where the block that the guest notes in has what. */
#define READS_AT GUEST_DATA_AT
#define BACK_AT  (GUEST_DATA_AT + 2 * sizeof(uint64_t))

/* Who changes a clock may be kept from its processor in the middle of that: then the guest makes the call. */
static void *watch_on(void *argument)
{
    struct guest *guest = argument;
    uint64_t time[2];

    for (;;) {
        uint64_t ns;

        guest_run(guest);
        if (guest->event.kind != TG_EVENT_SYSCALL)
            return NULL;
        CHECK_CALL(&guest->event, SYS_clock_gettime);
        ns = seen_by_library(guest->subprocess, CLOCK_MONOTONIC);
        time[0] = ns / NS_PER_SECOND;
        time[1] = ns % NS_PER_SECOND;
        CHECK_OK(tg_subprocess_write(guest->subprocess, guest->event.u.syscall.args[1], time, sizeof(time), NULL));
        CHECK_OK(tg_context_set_return(guest->context, 0));
    }
}

/* A line through what the one before shows at this moment, steeper or not; now and then one that lags behind. */
static tg_clock next_line(const struct guest *guest, int i)
{
    tg_clock line = {.size = sizeof(line)};
    uint64_t ns;

    CHECK_OK(tg_subprocess_clock(guest->subprocess, CLOCK_MONOTONIC, &line, &ns));
    line.base_counter = tg_platform_counter(guest->platform);
    line.base_ns = i % 16 ? ns : ns - 1000;
    line.multiplier = i % 2 ? TICK_NS : TICK_NS / 3;
    line.flags = TG_CLOCK_FORWARD;
    return line;
}

/* A mixture of two lines would be far off, and what is read after it would be behind that. */
static void changes_are_whole(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;

    open_code(&guest, backend, TG_OPEN_VDSO_OWN, GUEST_CODE(watch_clock));
    need_counter(&guest);
    set(guest.subprocess, running(&guest, CLOCK_MONOTONIC, SOME_NS));
    set_arguments(&guest, CLOCK_MONOTONIC, GUEST_DATA_AT);
    thread = start_thread(watch_on, &guest);
    guest_wait_change(guest.subprocess, READS_AT, 0);
    for (int i = 0; i < CHANGES; i++)
        set(guest.subprocess, next_line(&guest, i));
    guest_wait_change(guest.subprocess, READS_AT, guest_load(guest.subprocess, READS_AT));
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    CHECK_EQ(guest_load(guest.subprocess, BACK_AT), 0);
    guest_close(&guest);
}

/* FORWARD keeps it from going back; without, it does as it is told. */
static void forward_only(uint32_t backend)
{
    struct guest guest;
    tg_clock back = standing(CLOCK_MONOTONIC, 5);

    open_guest(&guest, backend);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    back.flags = TG_CLOCK_FORWARD;
    set(guest.subprocess, back);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    back.base_ns = SOME_NS + 1;
    set(guest.subprocess, back);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS + 1);
    back.base_ns = 6;
    back.flags = 0;
    set(guest.subprocess, back);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), 6);
    guest_close(&guest);
}

static void nobody_else_changes_it(uint32_t backend)
{
    const uint64_t word = 0;
    struct guest guest;
    uint64_t vdso;

    open_guest(&guest, backend);
    vdso = platform_info(guest.platform).vdso;
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, vdso, guest.page), -EINVAL);
    CHECK_RESULT(tg_subprocess_protect(guest.subprocess, vdso - guest.page, guest.page, PROT_RW), -EINVAL);
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, vdso - guest.page, guest.page, PROT_RW, 0, -1, 0), -EINVAL);
    CHECK_RESULT(tg_subprocess_write(guest.subprocess, vdso - guest.page, &word, sizeof(word), NULL), -EFAULT);
    for (uint64_t addr = vdso - guest.page; addr <= vdso; addr += guest.page) {
        set_arguments(&guest, CLOCK_MONOTONIC, addr);
        guest_run(&guest);
        CHECK_FAULT(&guest.event, addr, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
        CHECK(is_in_vdso(&guest, guest.event.u.fault.ip));
        guest_restart(&guest);
    }
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    guest_close(&guest);
}

static void fault_in_it(uint32_t backend)
{
    struct guest guest;

    open_guest(&guest, backend);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, NS_PER_SECOND));
    set_arguments(&guest, CLOCK_MONOTONIC, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(arch_argument(guest.context, 0), 0);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_HOLE_AT), 1);
    guest_close(&guest);
}

/* ---- where it comes and where it does not ---- */

static void refuse_clocks(const struct guest *guest)
{
    const tg_clock clock = standing(CLOCK_MONOTONIC, SOME_NS);
    tg_clock now = {.size = sizeof(now)};

    CHECK_RESULT(tg_subprocess_set_clocks(guest->subprocess, &clock, 1), -EOPNOTSUPP);
    CHECK_RESULT(tg_subprocess_clock(guest->subprocess, CLOCK_MONOTONIC, &now, NULL), -EOPNOTSUPP);
    CHECK(strstr(tg_platform_last_error(guest->platform), "TG_OPEN_VDSO_OWN") != NULL);
}

static uint32_t kind_with(uint32_t backend, uint64_t flags)
{
    struct guest guest;
    tg_info info;

    guest_open_flags(&guest, backend, flags, GUEST_CODE(call_function));
    info = platform_info(guest.platform);
    CHECK_EQ(info.vdso_kind != TG_VDSO_NONE, info.vdso != 0);
    if (info.vdso_kind != TG_VDSO_OWN) {
        refuse_clocks(&guest);
        CHECK_EQ(tg_platform_counter(guest.platform), 0);
    }
    guest_close(&guest);
    return info.vdso_kind;
}

/* With both flags the host's, if that lies where it was moved to. */
static void only_where_asked_for(uint32_t backend)
{
    CHECK_EQ(kind_with(backend, 0), TG_VDSO_NONE);
    CHECK(kind_with(backend, TG_OPEN_VDSO) != TG_VDSO_OWN);
    CHECK(kind_with(backend, TG_OPEN_VDSO_OWN) != TG_VDSO_HOST);
    CHECK(kind_with(backend, TG_OPEN_VDSO | TG_OPEN_VDSO_OWN) != TG_VDSO_NONE || !own_vdso());
}

/* A clock that stands still needs no counter. */
static void trapped_counter(uint32_t backend)
{
    tg_clock line = {.multiplier = 1};
    struct guest guest;

    open_guest(&guest, backend);
    if (!(platform_info(guest.platform).capabilities & TG_CAP_TRAP_TSC))
        SKIP("this host cannot trap RDTSC");
    guest_close(&guest);
    open_code(&guest, backend, TG_OPEN_VDSO | TG_OPEN_VDSO_OWN | TG_OPEN_TRAP_TSC, GUEST_CODE(call_function));
    line = standing(CLOCK_MONOTONIC, SOME_NS);
    line.multiplier = 1;
    CHECK_RESULT(tg_subprocess_set_clocks(guest.subprocess, &line, 1), -EOPNOTSUPP);
    look_by_call(&guest, guest.subprocess, CLOCK_MONOTONIC);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    guest_close(&guest);
}

static void seal_own(const char *name)
{
    static struct proc_mapping mappings[1024];
    size_t count = proc_mappings(getpid(), mappings, ARRAY_SIZE(mappings));

    for (size_t i = 0; i < count; i++)
        if (strncmp(mappings[i].name, name, strlen(name)) == 0)
            CHECK_SYSTEM(syscall(SYS_mseal, mappings[i].start, mappings[i].end - mappings[i].start, 0));
}

/* A sealed one is in every guest; what guests are told of is the library's. */
static void open_sealed(uint32_t backend)
{
    struct guest guest;

    seal_own("[vvar");
    seal_own("[vdso]");
    open_code(&guest, backend, TG_OPEN_VDSO | TG_OPEN_VDSO_OWN, GUEST_CODE(call_function));
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    guest_close(&guest);
    open_guest(&guest, backend);
    look_by_call(&guest, guest.subprocess, CLOCK_MONOTONIC);
    guest_close(&guest);
}

static void run_in_child(void (*run)(uint32_t backend), uint32_t backend)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0) {
        run(backend);
        _exit(0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
}

static void where_the_hosts_is_sealed(uint32_t backend)
{
    struct guest guest;

    if (syscall(SYS_mseal, 0, 0, 0))
        SKIP("this kernel has no mseal(2)");
    open_guest(&guest, backend);
    guest_close(&guest);
    run_in_child(open_sealed, backend);
}

/* systrap needs files in memory whatever guests are to have. */
static void open_without_memory_files(uint32_t backend)
{
    const tg_platform_options options = {.size = sizeof(options), .backend = backend, .flags = TG_OPEN_VDSO_OWN};
    tg_platform *platform = NULL;
    int result;

    refuse_call(SYS_memfd_create);
    result = tg_platform_open(&options, &platform);
    if (backend == TG_BACKEND_SYSTRAP) {
        CHECK_EQ(result, -EPERM);
        return;
    }
    CHECK_EQ(result, 0);
    CHECK_EQ(platform_info(platform).vdso_kind, TG_VDSO_NONE);
    CHECK_EQ(platform_info(platform).vdso, 0);
    tg_subprocess_destroy(create_subprocess(platform));
    tg_platform_close(platform);
}

static void create_without_memory_files(uint32_t backend)
{
    tg_subprocess *subprocess = NULL;
    struct guest guest;

    open_guest(&guest, backend);
    set(guest.subprocess, standing(CLOCK_MONOTONIC, SOME_NS));
    refuse_call(SYS_memfd_create);
    CHECK_RESULT(tg_subprocess_create(guest.platform, &subprocess), -EPERM);
    CHECK(strstr(tg_platform_last_error(guest.platform), "memfd_create") != NULL);
    CHECK_RESULT(tg_subprocess_fork(guest.subprocess, &subprocess), -EPERM);
    CHECK_EQ(look(&guest, guest.subprocess, CLOCK_MONOTONIC), SOME_NS);
    guest_close(&guest);
}

static void none_where_refused(uint32_t backend)
{
    struct guest guest;

    open_guest(&guest, backend);
    guest_close(&guest);
    run_in_child(open_without_memory_files, backend);
    if (backend == TG_BACKEND_PTRACE)
        run_in_child(create_without_memory_files, backend);
}

/* ---- what programs find ---- */

static const Elf64_Phdr *segment(const Elf64_Ehdr *header, uint32_t type)
{
    const Elf64_Phdr *segments = (const void *)((const char *)header + header->e_phoff);

    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == type)
            return &segments[i];
    check_failed(CHECK_HERE, "there is no segment of type %u", type);
}

static uint64_t dynamic(const Elf64_Ehdr *header, int64_t tag)
{
    const Elf64_Dyn *entry = (const void *)((const char *)header + segment(header, PT_DYNAMIC)->p_offset);

    for (; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == tag)
            return entry->d_un.d_val;
    check_failed(CHECK_HERE, "there is no dynamic entry %lld", (long long)tag);
}

/* C libraries and Go want one table of hashes or the other, and a version. */
static void is_a_shared_object(uint32_t backend)
{
    static const int64_t tables[] = {DT_HASH, DT_GNU_HASH, DT_STRTAB, DT_SYMTAB, DT_VERSYM, DT_VERDEF};
    static uint64_t image[4096 / sizeof(uint64_t)];
    const Elf64_Ehdr *header = (const void *)image;
    struct guest guest;

    open_guest(&guest, backend);
    read_image(&guest, platform_info(guest.platform).vdso, image, sizeof(image));
    CHECK(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ(header->e_type, ET_DYN);
    CHECK_EQ(segment(header, PT_LOAD)->p_vaddr, 0);
    CHECK_EQ(segment(header, PT_LOAD)->p_flags, PF_R | PF_X);
    CHECK(segment(header, PT_LOAD)->p_memsz <= sizeof(image));
    CHECK(strcmp((const char *)header + dynamic(header, DT_STRTAB) + dynamic(header, DT_SONAME), "linux-vdso.so.1") ==
          0);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        CHECK(dynamic(header, tables[i]) < sizeof(image));
    guest_close(&guest);
}

/* ---- following the host ---- */

static uint64_t host_ns(clockid_t clock)
{
    struct timespec time;

    CHECK_SYSTEM(clock_gettime(clock, &time));
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

static void pause_ns(long ns)
{
    const struct timespec pause = {.tv_nsec = ns};

    nanosleep(&pause, NULL);
}

/* How far it is off is said, not judged: a busy machine makes that what it will. */
static void follows_the_host(uint32_t backend)
{
    tg_host_clock host = {.size = sizeof(host), .clock = CLOCK_MONOTONIC};
    tg_clock line = {.size = sizeof(line)};
    uint64_t worst = 0;
    uint64_t last = 0;
    struct guest guest;

    open_guest(&guest, backend);
    need_counter(&guest);
    CHECK_OK(tg_platform_follow_clock(guest.platform, &host, &line));
    CHECK_EQ(line.kind, TG_CLOCK_CALL);
    for (int i = 0; i < FOLLOWED; i++) {
        uint64_t before;
        uint64_t time;
        uint64_t after;

        pause_ns(5000000);
        CHECK_OK(tg_platform_follow_clock(guest.platform, &host, &line));
        CHECK_EQ(line.clock, CLOCK_MONOTONIC);
        set(guest.subprocess, line);
        if (line.kind == TG_CLOCK_CALL)
            continue;
        before = host_ns(CLOCK_MONOTONIC);
        time = look(&guest, guest.subprocess, CLOCK_MONOTONIC);
        after = host_ns(CLOCK_MONOTONIC);
        CHECK(time >= last);
        CHECK(time + NS_PER_SECOND > before && time < after + NS_PER_SECOND);
        last = seen_by_library(guest.subprocess, CLOCK_MONOTONIC);
        worst = host.error_ns > worst ? host.error_ns : worst;
    }
    if (!last)
        SKIP("the counter of this machine is not to be relied on");
    printf("at most %" PRIu64 " ns off after intervals of 5 ms\n", worst);
    guest_close(&guest);
}

static void does_not_follow(uint32_t backend)
{
    tg_host_clock none = {.size = sizeof(none), .clock = 77};
    tg_clock line = {.size = sizeof(line)};
    struct guest guest;

    open_guest(&guest, backend);
    CHECK_RESULT(tg_platform_follow_clock(guest.platform, &none, &line), -EINVAL);
    guest_close(&guest);
    guest_open(&guest, backend, GUEST_CODE(call_function));
    none.clock = CLOCK_MONOTONIC;
    for (int i = 0; i < 3; i++) {
        pause_ns(2000000);
        CHECK_OK(tg_platform_follow_clock(guest.platform, &none, &line));
        CHECK_EQ(line.kind, TG_CLOCK_CALL);
    }
    CHECK_EQ(tg_platform_counter(guest.platform), 0);
    guest_close(&guest);
}

const struct test_case vdso_clock_cases[] = {
    {"vdso_own.time", "A guest reads the time that was said, of each clock, without an event", time_is_what_was_said},
    {"vdso_own.counter", "A clock goes by the counter, and answers to calls are in step with it",
     time_goes_by_the_counter},
    {"vdso_own.seconds", "Seconds are right at any distance from where a clock's line begins", seconds_are_counted},
    {"vdso_own.calls", "A clock that is not set is a call as any other, which is never patched",
     unset_clocks_are_calls},
    {"vdso_own.fork", "Copies of a subprocess begin with its clocks, and then have their own", copies_begin_with_it},
    {"vdso_own.changes", "A guest that reads while a clock changes sees no mixture, and no time go back",
     changes_are_whole},
    {"vdso_own.forward", "A clock goes back if the embedder says so, and never with TG_CLOCK_FORWARD", forward_only},
    {"vdso_own.constant", "Neither the guest nor a memory operation changes it or its clocks", nobody_else_changes_it},
    {"vdso_own.fault", "A pointer that leads nowhere is a fault in it, and can be served", fault_in_it},
    {"vdso_own.off", "There are no clocks to be set where it is not asked for", only_where_asked_for},
    {"vdso_own.trapped", "Where RDTSC traps guests make calls, or have clocks that stand still", trapped_counter},
    {"vdso_own.sealed", "With both flags it comes where the host has sealed its own", where_the_hosts_is_sealed},
    {"vdso_own.refused", "Where the host refuses what it needs there is none, or an error that says so",
     none_where_refused},
    {"vdso_own.object", "It is a shared object with all that C libraries and Go look for", is_a_shared_object},
    {"vdso_own.follow", "A clock that follows the host's is near it and does not go back", follows_the_host},
    {"vdso_own.lost", "Where there is nothing to follow, or no counter to be read, guests make calls", does_not_follow},
    {0},
};
