/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest memory: mapping, batches, and copies across edges. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "threads.h"

#define AREA GUEST_HOLE_AT

static tg_mem_op map_op(uint64_t addr, uint64_t length, uint32_t prot)
{
    return (tg_mem_op){
        .size = sizeof(tg_mem_op), .kind = TG_MEM_MAP, .addr = addr, .length = length, .prot = prot, .fd = -1};
}

static tg_mem_op simple_op(uint32_t kind, uint64_t addr, uint64_t length, uint32_t prot)
{
    tg_mem_op op = map_op(addr, length, prot);

    op.kind = kind;
    return op;
}

static tg_mem_op advise_op(uint64_t addr, uint64_t length, int32_t advice)
{
    tg_mem_op op = simple_op(TG_MEM_ADVISE, addr, length, 0);

    op.advice = advice;
    return op;
}

static void fill(unsigned char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
}

static void copies_any_length(uint32_t backend)
{
    static const size_t lengths[] = {1, 2, 7, 8, 4095, 4096, 4097, 65536, 1048576 - 8};
    static const size_t offsets[] = {0, 1, 4090};
    unsigned char *out = malloc(1048576);
    unsigned char *in = malloc(1048576);
    struct guest guest;
    unsigned int i;
    unsigned int j;
    size_t done;

    CHECK(out && in);
    fill(out, 1048576);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    map_pages(guest.subprocess, AREA, 2 * 1048576, PROT_RW);
    for (i = 0; i < ARRAY_SIZE(lengths); i++) {
        for (j = 0; j < ARRAY_SIZE(offsets); j++) {
            check_context("%zu bytes at offset %zu", lengths[i], offsets[j]);
            CHECK_OK(tg_subprocess_write(guest.subprocess, AREA + offsets[j], out, lengths[i], &done));
            CHECK_EQ(done, lengths[i]);
            memset(in, 0xee, lengths[i] + 1);
            CHECK_OK(tg_subprocess_read(guest.subprocess, AREA + offsets[j], in, lengths[i], &done));
            CHECK_EQ(done, lengths[i]);
            CHECK_BYTES(in, out, lengths[i]);
            CHECK_EQ(in[lengths[i]], 0xee);
        }
    }
    guest_close(&guest);
    free(in);
    free(out);
}

static void nothing_to_copy(uint32_t backend)
{
    struct guest guest;
    unsigned char byte = 0;
    size_t done = 99;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, &byte, 0, &done));
    CHECK_EQ(done, 0);
    done = 99;
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, &byte, 0, &done));
    CHECK_EQ(done, 0);
    guest_close(&guest);
}

static void partial_at_a_hole(uint32_t backend)
{
    unsigned char bytes[64];
    unsigned char back[64];
    struct guest guest;
    size_t before;
    size_t done;

    fill(bytes, sizeof(bytes));
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    map_pages(guest.subprocess, AREA, guest.page, PROT_RW);
    for (before = 0; before <= sizeof(bytes); before += 16) {
        uint64_t addr = AREA + guest.page - before;
        int expected = before == sizeof(bytes) ? 0 : -EFAULT;

        check_context("%zu bytes before the hole", before);
        done = 99;
        CHECK_RESULT(tg_subprocess_write(guest.subprocess, addr, bytes, sizeof(bytes), &done), expected);
        CHECK_EQ(done, before);
        memset(back, 0xcc, sizeof(back));
        done = 99;
        CHECK_RESULT(tg_subprocess_read(guest.subprocess, addr, back, sizeof(back), &done), expected);
        CHECK_EQ(done, before);
        CHECK_BYTES(back, bytes, before);
        CHECK(before == sizeof(back) || back[before] == 0xcc);
    }
    guest_close(&guest);
}

#define FILE_PAGES 20

/* The embedder's buffer is a mapped file, and the file has become shorter. The host copies: no signal is raised. */
static void buffer_behind_a_file(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 100, 4096, 70000};
    const int file = CHECK_SYSTEM(memfd_create("shorter", MFD_CLOEXEC));
    struct guest guest;
    unsigned char *end;
    unsigned char *bytes;
    unsigned char back[70000];
    size_t done;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_SYSTEM(ftruncate(file, (off_t)(FILE_PAGES * guest.page)));
    bytes = CHECK_SYSTEM(mmap(NULL, FILE_PAGES * guest.page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    end = bytes + (FILE_PAGES - 1) * guest.page;
    fill(bytes, FILE_PAGES * guest.page);
    CHECK_SYSTEM(ftruncate(file, (off_t)((FILE_PAGES - 1) * guest.page)));
    map_pages(guest.subprocess, AREA, FILE_PAGES * guest.page, PROT_RW);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        const size_t there = lengths[i];

        check_context("%zu bytes before the end of the file", there);
        done = 99;
        CHECK_RESULT(tg_subprocess_write(guest.subprocess, AREA + 5, end - there, there + 7, &done), -EFAULT);
        CHECK(done <= there);
        CHECK_OK(tg_subprocess_read(guest.subprocess, AREA + 5, back, done, NULL));
        CHECK_BYTES(back, end - there, done);
    }
    CHECK_SYSTEM(munmap(bytes, FILE_PAGES * guest.page));
    guest_close(&guest);
    close(file);
}

/* Many pages, then one that refuses: every byte before it is copied, however long that is. */
static void partial_after_many_pages(uint32_t backend)
{
    unsigned char *bytes = malloc(128 * 4096);
    struct guest guest;
    uint64_t good;
    size_t done;

    CHECK(bytes != NULL);
    fill(bytes, 128 * 4096);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    map_pages(guest.subprocess, AREA, 128 * guest.page, PROT_RW);
    for (good = 1; good < 100; good += 7) {
        map_pages(guest.subprocess, AREA, 128 * guest.page, PROT_RW);
        CHECK_OK(tg_subprocess_protect(guest.subprocess, AREA + good * guest.page, guest.page, TG_PROT_NONE));
        CHECK_RESULT(tg_subprocess_write(guest.subprocess, AREA + 3, bytes, 128 * 4096 - 3, &done), -EFAULT);
        CHECK_EQ(done, good * guest.page - 3);
        memset(bytes, 0, 128 * 4096);
        CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA + 3, bytes, 128 * 4096 - 3, &done), -EFAULT);
        CHECK_EQ(done, good * guest.page - 3);
        CHECK_EQ(bytes[done - 1], (unsigned char)((done - 1) * 7 + (done - 1) / 251));
        CHECK_EQ(bytes[done], 0);
        fill(bytes, 128 * 4096);
    }
    guest_close(&guest);
    free(bytes);
}

static void rights_are_respected(uint32_t backend)
{
    struct guest guest;
    uint64_t word = 42;
    size_t done = 99;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    map_pages(guest.subprocess, AREA, guest.page, TG_PROT_READ);
    CHECK_RESULT(tg_subprocess_write(guest.subprocess, AREA, &word, sizeof(word), &done), -EFAULT);
    CHECK_EQ(done, 0);
    CHECK_EQ(guest_load(guest.subprocess, AREA), 0);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, AREA, guest.page, TG_PROT_NONE));
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA, &word, sizeof(word), &done), -EFAULT);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_subprocess_write(guest.subprocess, GUEST_CODE_AT, &word, sizeof(word), &done), -EFAULT);
    guest_close(&guest);
}

static void addresses_out_of_reach(uint32_t backend)
{
    static const uint64_t addresses[] = {0, 0xffffffffff600000, 0x8000000000000000, ~0ull - 7};
    struct guest guest;
    uint64_t word = 42;
    size_t done;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(addresses); i++) {
        int result;

        check_context("address 0x%llx", (unsigned long long)addresses[i]);
        done = 99;
        result = tg_subprocess_write(guest.subprocess, addresses[i], &word, sizeof(word), &done);
        CHECK(result == -EFAULT || result == -EINVAL);
        CHECK_EQ(done, 0);
        done = 99;
        result = tg_subprocess_read(guest.subprocess, addresses[i], &word, sizeof(word), &done);
        CHECK(result == -EFAULT || result == -EINVAL);
        CHECK_EQ(done, 0);
    }
    CHECK_EQ(word, 42);
    guest_close(&guest);
}

static void library_pages_are_not_guest_memory(uint32_t backend)
{
    struct guest guest;
    unsigned char byte;
    tg_info info;
    uint32_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    info = platform_info(guest.platform);
    for (i = 0; i < info.reserved_count; i++) {
        const tg_range *range = &info.reserved[i];

        CHECK(range->start < range->end);
        CHECK(tg_subprocess_write(guest.subprocess, range->start, "x", 1, NULL) < 0);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, range->start, guest.page, PROT_RW, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, range->start, guest.page), -EINVAL);
        CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, range->start - guest.page, 2 * guest.page), -EINVAL);
        CHECK_RESULT(tg_subprocess_protect(guest.subprocess, range->end - guest.page, guest.page, PROT_RW), -EINVAL);
    }
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, info.user_end, guest.page, PROT_RW, 0, -1, 0), -EINVAL);
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, info.user_end - guest.page, 2 * guest.page, PROT_RW, 0, -1, 0),
                 -EINVAL);
    if (info.user_start >= guest.page)
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, info.user_start - guest.page, guest.page, PROT_RW, 0, -1, 0),
                     -EINVAL);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_CODE_AT, &byte, 1, NULL));
    guest_close(&guest);
}

static bool is_reserved(const tg_info *info, uint64_t addr)
{
    uint32_t i;

    for (i = 0; i < info->reserved_count; i++) {
        if (info->reserved[i].start <= addr && addr < info->reserved[i].end)
            return true;
    }
    return false;
}

static void edges_of_user_space(uint32_t backend)
{
    struct guest guest;
    uint64_t edges[2];
    tg_info info;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    info = platform_info(guest.platform);
    edges[0] = info.user_start;
    edges[1] = info.user_end - guest.page;
    for (i = 0; i < ARRAY_SIZE(edges); i++) {
        if (is_reserved(&info, edges[i]))
            continue;
        check_context("edge 0x%llx", (unsigned long long)edges[i]);
        map_pages(guest.subprocess, edges[i], guest.page, PROT_RW);
        guest_restart(&guest);
        arch_set_argument(guest.context, 0, edges[i]);
        arch_set_argument(guest.context, 1, 99);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest_load(guest.subprocess, edges[i]), 99);
        CHECK_OK(tg_subprocess_unmap(guest.subprocess, edges[i], guest.page));
    }
    guest_close(&guest);
}

static void unmap_of_nothing(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, AREA, 16 * guest.page));
    CHECK_RESULT(tg_subprocess_protect(guest.subprocess, AREA, guest.page, PROT_RW), -ENOMEM);
    guest_close(&guest);
}

static void populate_makes_present(uint32_t backend)
{
    struct guest guest;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    pid = tg_subprocess_pid(guest.subprocess);
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, 64 * guest.page, PROT_RW, TG_MAP_POPULATE, -1, 0));
    CHECK_EQ(proc_resident(pid, AREA), 64 * guest.page);
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA + (1 << 24), 64 * guest.page, PROT_RW, TG_MAP_NORESERVE, -1, 0));
    CHECK_EQ(proc_resident(pid, AREA + (1 << 24)), 0);
    guest_close(&guest);
}

/* Advice that would change what a fork copies or reach other processes is not on the list. */
static void other_advice_is_refused(uint32_t backend)
{
    static const int32_t refused[] = {MADV_DONTFORK, MADV_HWPOISON, MADV_MERGEABLE, 9999, -1};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(refused); i++) {
        tg_mem_op op = advise_op(GUEST_DATA_AT, guest.page, refused[i]);
        size_t done = 99;

        check_context("advice %d", refused[i]);
        CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, &done), -EINVAL);
        CHECK_EQ(done, 0);
    }
    guest_close(&guest);
}

static void batch_runs_in_order(uint32_t backend)
{
    struct guest guest;
    size_t done = 99;
    tg_mem_op ops[5];

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    ops[0] = map_op(AREA, 4 * guest.page, TG_PROT_NONE);
    ops[1] = simple_op(TG_MEM_PROTECT, AREA, 3 * guest.page, PROT_RW);
    ops[2] = simple_op(TG_MEM_UNMAP, AREA + guest.page, guest.page, 0);
    ops[3] = map_op(AREA + guest.page, guest.page, TG_PROT_READ);
    ops[4] = advise_op(AREA, guest.page, MADV_DONTNEED);
    CHECK_OK(tg_subprocess_apply(guest.subprocess, ops, ARRAY_SIZE(ops), &done));
    CHECK_EQ(done, ARRAY_SIZE(ops));
    arch_set_argument(guest.context, 0, AREA + 2 * guest.page);
    GUEST_RUN_TO_CALL(&guest);
    arch_set_argument(guest.context, 0, AREA + guest.page);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, AREA + guest.page, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    arch_set_argument(guest.context, 0, AREA + 3 * guest.page);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, AREA + 3 * guest.page, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    guest_close(&guest);
}

static void batch_stops_where_it_fails(uint32_t backend)
{
    struct guest guest;
    size_t done = 99;
    tg_mem_op ops[4];

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    ops[0] = map_op(AREA, guest.page, PROT_RW);
    ops[1] = map_op(AREA + guest.page, guest.page, PROT_RW);
    ops[2] = simple_op(TG_MEM_PROTECT, AREA + 8 * guest.page, guest.page, PROT_RW); /* nothing is mapped there */
    ops[3] = map_op(AREA + 2 * guest.page, guest.page, PROT_RW);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, ops, ARRAY_SIZE(ops), &done), -ENOMEM);
    CHECK_EQ(done, 2);
    guest_store(guest.subprocess, AREA + guest.page, 1);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA + 2 * guest.page, &done, sizeof(done), NULL), -EFAULT);
    CHECK(tg_platform_last_error(guest.platform)[0] != '\0');
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, ops, ARRAY_SIZE(ops), NULL), -ENOMEM);
    guest_close(&guest);
}

/* A bad argument anywhere means that nothing runs. */
static void batch_is_checked_first(uint32_t backend)
{
    struct guest guest;
    size_t done = 99;
    tg_mem_op ops[2];

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    ops[0] = map_op(AREA, guest.page, PROT_RW);
    ops[1] = map_op(AREA + guest.page + 1, guest.page, PROT_RW);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, ops, 2, &done), -EINVAL);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA, &done, sizeof(done), NULL), -EFAULT);
    guest_close(&guest);
}

static void long_batches(uint32_t backend)
{
    enum { PAGES = 1000 };
    tg_mem_op *ops = calloc(PAGES, sizeof(*ops));
    struct guest guest;
    size_t done = 0;
    unsigned int i;

    CHECK(ops != NULL);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < PAGES; i++)
        ops[i] = map_op(AREA + 2 * i * guest.page, guest.page, PROT_RW);
    CHECK_OK(tg_subprocess_apply(guest.subprocess, ops, PAGES, &done));
    CHECK_EQ(done, PAGES);
    for (i = 0; i < PAGES; i++)
        guest_store(guest.subprocess, ops[i].addr, i);
    for (i = 0; i < PAGES; i++)
        CHECK_EQ(guest_load(guest.subprocess, ops[i].addr), i);
    for (i = 0; i < PAGES; i++)
        ops[i].kind = TG_MEM_UNMAP;
    CHECK_OK(tg_subprocess_apply(guest.subprocess, ops, PAGES, &done));
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA, &done, 1, NULL), -EFAULT);
    guest_close(&guest);
    free(ops);
}

/* The host's limit on mappings per process: an error, and everything goes on afterwards. */
static void too_many_mappings(uint32_t backend)
{
    enum { BATCH = 1024, MOST = 1 << 18 };
    tg_mem_op *ops = calloc(BATCH, sizeof(*ops));
    struct guest guest;
    size_t total = 0;
    size_t done;
    int result = 0;
    unsigned int i;

    CHECK(ops != NULL);
    guest_open(&guest, backend, GUEST_CODE(write_calls));
    while (result == 0 && total < MOST) {
        for (i = 0; i < BATCH; i++)
            ops[i] = map_op(AREA + (total + i) * guest.page, guest.page, (total + i) % 2 ? PROT_RW : TG_PROT_READ);
        result = tg_subprocess_apply(guest.subprocess, ops, BATCH, &done);
        total += done;
    }
    if (result == 0)
        SKIP("this host allows more than %d mappings", MOST);
    CHECK_RESULT(result, -ENOMEM);
    arch_set_argument(guest.context, 0, AREA + guest.page);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, AREA, total * guest.page));
    map_pages(guest.subprocess, AREA, 2 * guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
    free(ops);
}

struct mapper {
    tg_subprocess *subprocess;
    uint64_t addr;
    uint64_t page;
};

static void *map_and_unmap(void *argument)
{
    const struct mapper *mapper = argument;
    uint64_t round;

    for (round = 1; round <= 200; round++) {
        map_pages(mapper->subprocess, mapper->addr, mapper->page, PROT_RW);
        guest_store(mapper->subprocess, mapper->addr, round);
        CHECK_EQ(guest_load(mapper->subprocess, mapper->addr), round);
        CHECK_OK(tg_subprocess_unmap(mapper->subprocess, mapper->addr, mapper->page));
    }
    return NULL;
}

static void many_threads_map(uint32_t backend)
{
    struct mapper mappers[4];
    pthread_t threads[4];
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 0; i < 4; i++) {
        mappers[i] = (struct mapper){guest.subprocess, AREA + i * 16 * guest.page, guest.page};
        threads[i] = start_thread(map_and_unmap, &mappers[i]);
    }
    for (i = 1; i <= 500; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    for (i = 0; i < 4; i++)
        join_thread(threads[i]);
    guest_close(&guest);
}

static void map_under_a_running_guest(uint32_t backend)
{
    struct mapper mapper;
    struct guest guest;
    pthread_t thread;
    uint64_t before;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    mapper = (struct mapper){guest.subprocess, AREA, guest.page};
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    map_and_unmap(&mapper);
    before = guest_load(guest.subprocess, GUEST_DATA_AT);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, before);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

/* Like a container's profile, and like Yama's settings 2 and 3. */
static void forbid_copies(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = ARRAY_SIZE(program), .filter = program};

    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0));
}

static void calls_are_still_patched(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < 100; i++)
        GUEST_RUN_TO_CALL(&guest);
    if (platform_info(guest.platform).capabilities & TG_CAP_PATCHING)
        CHECK_EQ(platform_stats(guest.platform).patch_sites, 1);
    guest_close(&guest);
}

static void host_forbids_copies(uint32_t backend)
{
    forbid_copies();
    copies_any_length(backend);
    partial_at_a_hole(backend);
    partial_after_many_pages(backend);
    buffer_behind_a_file(backend);
    rights_are_respected(backend);
    addresses_out_of_reach(backend);
    calls_are_still_patched(backend);
}

/* What the stub's threads have run so far. */
static int64_t run_time_ns(tg_subprocess *subprocess)
{
    struct timespec time;
    clockid_t clock;

    CHECK_EQ(clock_getcpuclockid((pid_t)tg_subprocess_pid(subprocess), &clock), 0);
    CHECK_SYSTEM(clock_gettime(clock, &time));
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Operations that follow each other at once are what a stub may wait awake for. */
static void stub_rests_after_operations(uint32_t backend)
{
    const struct timespec shortly = {.tv_nsec = 20000000};
    const struct timespec longer = {.tv_nsec = 100000000};
    struct guest guest;
    int64_t before;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    for (size_t i = 0; i < 1000; i++) {
        map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, TG_PROT_READ);
        CHECK_OK(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT, guest.page));
    }
    nanosleep(&shortly, NULL);
    before = run_time_ns(guest.subprocess);
    nanosleep(&longer, NULL);
    CHECK(run_time_ns(guest.subprocess) - before < 10000000);
    guest_close(&guest);
}

const struct test_case memory_cases[] = {
    {"memory.copy", "Reads and writes of any length and offset copy every byte and no more", copies_any_length},
    {"memory.copy_nothing", "Length 0 succeeds and copies nothing", nothing_to_copy},
    {"memory.partial_hole", "A copy that meets a hole counts exactly the bytes before it", partial_at_a_hole},
    {"memory.partial_long", "A long copy that meets a page without rights counts exactly the bytes before it",
     partial_after_many_pages},
    {"memory.short_buffer", "A write from a mapped file that was cut short is -EFAULT and no signal",
     buffer_behind_a_file},
    {"memory.rights", "Reads and writes respect the rights of the guest's mappings", rights_are_respected},
    {"memory.out_of_reach", "Addresses that no guest has are refused and copy nothing", addresses_out_of_reach},
    {"memory.forbidden", "Where the host forbids copies they are made all the same", host_forbids_copies},
    {"memory.reserved", "Ranges outside of user space or inside a reserved range are refused",
     library_pages_are_not_guest_memory},
    {"memory.edges", "The first and the last page of user space can be mapped and used", edges_of_user_space},
    {"memory.unmap_nothing", "Unmapping nothing is fine, protecting nothing is -ENOMEM", unmap_of_nothing},
    {"memory.precommit", "TG_MAP_POPULATE makes pages present; without it none are", populate_makes_present},
    {"memory.advise_refused", "Advice that is not on the list is refused", other_advice_is_refused},
    {"memory.batch", "A batch runs in order", batch_runs_in_order},
    {"memory.batch_failure", "A batch stops at the operation that fails and counts those before it",
     batch_stops_where_it_fails},
    {"memory.batch_checked_first", "A bad argument in a batch means that no operation runs", batch_is_checked_first},
    {"memory.batch_long", "A thousand operations in one batch", long_batches},
    {"memory.map_limit", "The host's limit on mappings is -ENOMEM, and the subprocess goes on", too_many_mappings},
    {"memory.threads", "Several threads map and unmap while a context runs", many_threads_map},
    {"memory.running_guest", "Memory operations go through while the guest computes", map_under_a_running_guest},
    {"memory.rest", "After a thousand operations, one right after the other, the stub rests",
     stub_rests_after_operations},
    {0},
};
