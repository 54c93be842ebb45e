/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the two programs allow, against a model of it that is written without
 * any of their tricks; then both loaded by this kernel around a small stub.
 */
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_simulator.h"
#include "core/systrap/stub_filters.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GIB          (1ull << 30)
#define X32          0x40000000u
#define NATIVE       AUDIT_ARCH_X86_64

/* ---- the model ---- */

enum subject { BASE, GUEST, BOTH };

static bool worker_call(const struct stub_filter_layout *at, int nr, const __u64 *args)
{
    switch (nr) {
    case SYS_rt_sigreturn:
    case SYS_sched_yield:
    case SYS_restart_syscall:
    case SYS_exit:
        return true;
    case SYS_futex:
        return args[0] >= at->region_start && args[0] <= at->region_start + (GIB - 1) && args[1] <= 1;
    default:
        return false;
    }
}

static bool base_call(const struct stub_filter_layout *at, int nr, const __u64 *args)
{
    switch (nr) {
    case SYS_mmap:
        return args[3] <= UINT32_MAX && ((args[3] & 0x10) || (args[3] & 0x100000));
    case SYS_clone: /* as numbers: the test would not see a flag too many otherwise */
        return args[0] == 0x108400 || args[0] == 0x50f00;
    case SYS_prctl:
        return args[0] == 1 && args[1] == 9;
    case SYS_seccomp:
        return args[0] == 1 && args[1] == 0 && args[2] == at->guest_program;
    case SYS_sched_setaffinity:
        return args[0] == 0 && args[2] == at->cpus;
    case SYS_mremap:
        return args[3] == 3;
    case SYS_membarrier:
        return args[0] == 0x20 || args[0] == 0x40;
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_lseek:
    case SYS_sigaltstack:
    case SYS_rt_sigprocmask:
    case SYS_getppid:
    case SYS_exit_group:
    case SYS_pread64:
    case SYS_pwrite64:
        return true;
    default:
        return worker_call(at, nr, args);
    }
}

static bool allowed(const struct stub_filter_layout *at, enum subject subject, const struct seccomp_data *call)
{
    if (call->arch != NATIVE || call->instruction_pointer < at->text_start + 2 ||
        call->instruction_pointer > at->text_end)
        return false;
    return subject == BASE ? base_call(at, call->nr, call->args) : worker_call(at, call->nr, call->args);
}

/* ---- the programs against the model ---- */

struct programs {
    struct stub_filter_layout at;
    struct sock_fprog stack[2]; /* BASE, GUEST */
    size_t allowed[3];          /* by subject: a table that allows nothing would prove nothing */
};

static void build(struct programs *programs, uint64_t region, uint64_t text)
{
    memset(programs, 0, sizeof(*programs));
    programs->at = (struct stub_filter_layout){.region_start = region,
                                               .text_start = text,
                                               .text_end = text + 0x2345,
                                               .guest_program = region + 0x3000,
                                               .cpus = region + 0x3800};
    assert_int_equal(stub_filters_build(&programs->at, &programs->stack[BASE], &programs->stack[GUEST]), 0);
}

static void drop(struct programs *programs)
{
    free(programs->stack[BASE].filter);
    free(programs->stack[GUEST].filter);
}

static void compare(struct programs *programs, const struct seccomp_data *call)
{
    for (enum subject subject = BASE; subject <= BOTH; subject++) {
        const bool allow = allowed(&programs->at, subject, call);
        const uint32_t answer =
            subject == BOTH ? bpf_run_stack(programs->stack, 2, call) : bpf_run(&programs->stack[subject], call);

        programs->allowed[subject] += allow;
        if (answer != (allow ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP))
            fail_msg("program %d, nr %d, arch %x, ip %llx, args %llx %llx %llx %llx: %x", (int)subject, call->nr,
                     call->arch, (unsigned long long)call->instruction_pointer, (unsigned long long)call->args[0],
                     (unsigned long long)call->args[1], (unsigned long long)call->args[2],
                     (unsigned long long)call->args[3], answer);
    }
}

static void compare_everywhere(struct programs *programs, struct seccomp_data call)
{
    static const uint32_t archs[] = {NATIVE, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0};
    const uint64_t start = programs->at.text_start;
    const uint64_t end = programs->at.text_end;
    const uint64_t ips[] = {start - 1,
                            start,
                            start + 1,
                            start + 2,
                            start + 3,
                            end - 1,
                            end,
                            end + 1,
                            0,
                            2,
                            programs->at.region_start,
                            programs->at.region_start + GIB - 1,
                            programs->at.region_start + GIB,
                            (uint32_t)(start + 2),
                            start + 2 + (1ull << 32),
                            start + 2 - (1ull << 32),
                            (start + 2) ^ (1ull << 63),
                            end + (1ull << 32),
                            0xffffffffff600000,
                            0xffffffffff600400,
                            0xffffffffff600800,
                            0xffffffff00000000 | (uint32_t)(start + 2),
                            UINT64_MAX};

    for (size_t arch = 0; arch < COUNT(archs); arch++)
        for (size_t ip = 0; ip < COUNT(ips); ip++) {
            call.arch = archs[arch];
            call.instruction_pointer = ips[ip];
            compare(programs, &call);
        }
}

/* Arguments that pass for the calls whose arguments are looked at. */
static size_t good_calls(const struct stub_filter_layout *at, struct seccomp_data calls[16])
{
    const struct seccomp_data good[] = {
        {.nr = SYS_mmap, .args = {[3] = MAP_FIXED | MAP_PRIVATE}},
        {.nr = SYS_mmap, .args = {[3] = MAP_FIXED_NOREPLACE | MAP_SHARED}},
        {.nr = SYS_mmap, .args = {[3] = UINT32_MAX}},
        {.nr = SYS_clone, .args = {SYSTRAP_CLONE_PROCESS_FLAGS}},
        {.nr = SYS_clone, .args = {SYSTRAP_CLONE_WORKER_FLAGS}},
        {.nr = SYS_futex, .args = {at->region_start, FUTEX_WAIT}},
        {.nr = SYS_futex, .args = {at->region_start + GIB - 4, FUTEX_WAKE}},
        {.nr = SYS_prctl, .args = {PR_SET_PDEATHSIG, SIGKILL}},
        {.nr = SYS_seccomp, .args = {SECCOMP_SET_MODE_FILTER, 0, at->guest_program}},
        {.nr = SYS_sched_setaffinity, .args = {0, 128, at->cpus}},
        {.nr = SYS_mremap, .args = {[3] = MREMAP_MAYMOVE | MREMAP_FIXED}},
        {.nr = SYS_membarrier, .args = {MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE}},
        {.nr = SYS_membarrier, .args = {MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE}},
    };

    memcpy(calls, good, sizeof(good));
    return COUNT(good);
}

static void compare_numbers(struct programs *programs)
{
    static const uint32_t strange[] = {UINT32_MAX, 1u << 31, (1u << 31) + SYS_rt_sigreturn, X32 - 1, UINT32_MAX - 1};
    struct seccomp_data calls[16];
    const size_t n = good_calls(&programs->at, calls);

    /* Without arguments, with all bits, and with what is good for any of the calls. */
    calls[n] = (struct seccomp_data){0};
    memset(&calls[n + 1], 0xff, sizeof(calls[0]));
    for (size_t i = 0; i < n + 2; i++) {
        for (uint32_t nr = 0; nr < 1024; nr++) {
            calls[i].nr = (int)nr;
            compare_everywhere(programs, calls[i]);
            calls[i].nr = (int)(nr | X32);
            compare_everywhere(programs, calls[i]);
        }
        for (size_t k = 0; k < COUNT(strange); k++) {
            calls[i].nr = (int)strange[k];
            compare_everywhere(programs, calls[i]);
        }
    }
}

/* From good arguments each bit, each two bits of one argument, and each argument as a number of interest. */
static void compare_arguments(struct programs *programs)
{
    const uint64_t region = programs->at.region_start;
    const uint64_t values[] = {0,
                               1,
                               2,
                               9,
                               UINT32_MAX,
                               UINT64_MAX,
                               region - 1,
                               region - 4,
                               region,
                               region + GIB - 1,
                               region + GIB,
                               (uint32_t)region,
                               programs->at.guest_program + 16,
                               programs->at.cpus + 8,
                               FUTEX_WAIT | FUTEX_PRIVATE_FLAG,
                               FUTEX_REQUEUE,
                               1ull << 32,
                               SIGCHLD | CLONE_FILES,
                               CLONE_VM | CLONE_FILES,
                               MEMBARRIER_CMD_GLOBAL};
    struct seccomp_data calls[16];
    const size_t n = good_calls(&programs->at, calls);

    for (size_t i = 0; i < n; i++) {
        calls[i].arch = NATIVE;
        calls[i].instruction_pointer = programs->at.text_end;
        assert_true(allowed(&programs->at, BASE, &calls[i]));
        for (size_t arg = 0; arg < 6; arg++) {
            struct seccomp_data call = calls[i];

            for (unsigned int bit = 0; bit < 64; bit++)
                for (unsigned int other = bit; other < 64; other++) {
                    call.args[arg] = calls[i].args[arg] ^ (1ull << bit) ^ (other == bit ? 0 : 1ull << other);
                    compare(programs, &call);
                }
            for (size_t k = 0; k < COUNT(values); k++) {
                call.args[arg] = values[k];
                compare(programs, &call);
            }
        }
    }
}

static void as_the_table_says(void **state)
{
    /* In the middle; where the low half is all zeros, all ones; at the end of user space; with a small upper half. */
    static const uint64_t layouts[][2] = {
        {0x5a1240000000, 0x5a1240001000}, {0x5a1200000000, 0x5a1200000000}, {0x5a12c0000000, 0x5a12fffff000 - 0x2000},
        {0x7fffc0000000, 0x7fffc0010000}, {0x40000000, 0x40000ffe},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(layouts); i++) {
        struct programs programs;

        build(&programs, layouts[i][0], layouts[i][1]);
        assert_null(bpf_objection(&programs.stack[BASE]));
        assert_null(bpf_objection(&programs.stack[GUEST]));
        if (i == 0)
            compare_numbers(&programs);
        compare_arguments(&programs);
        for (int nr = 0; nr < 1024; nr++)
            compare_everywhere(&programs, (struct seccomp_data){.nr = nr});
        assert_true(programs.allowed[BASE] > programs.allowed[GUEST]);
        assert_true(programs.allowed[GUEST] > 0);
        assert_int_equal(programs.allowed[GUEST], programs.allowed[BOTH]);
        drop(&programs);
    }
}

static void layouts_that_are_none(void **state)
{
    const uint64_t region = 0x5a12c0000000;
    const struct stub_filter_layout wrong[] = {
        {0, 0, 0, 0, 0},
        {region + 4096, region + 8192, region + 12288, region + 4096, 0},
        {region, region - 4096, region + 4096, region, 0},
        {region, region + 4096, region + 4096, region, 0},
        {region, region + 8192, region + 4096, region, 0},
        {region, region + 4096, region + GIB, region, 0},
        {region, region + GIB, region + GIB + 4096, region, 0},
        {region, region, region + 4096, region - 16, 0},
        {region, region, region + 4096, region + GIB - 15, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct sock_fprog base;
        struct sock_fprog guest;

        assert_int_equal(stub_filters_build(&wrong[i], &base, &guest), -EINVAL);
        assert_null(base.filter);
        assert_null(guest.filter);
    }
}

/* ---- the simulator itself ---- */

static bool refused(struct sock_filter first, struct sock_filter second)
{
    struct sock_filter instructions[] = {first, second, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {.len = COUNT(instructions), .filter = instructions};
    return bpf_objection(&program) != NULL;
}

static void simulator_refuses(void **state)
{
    const struct sock_filter nothing = BPF_STMT(BPF_LD | BPF_IMM, 0);
    struct sock_filter endless[] = {nothing};

    (void)state;
    assert_false(refused(nothing, nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(0xffff, 0), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), nothing));
    assert_false(refused((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_LD | BPF_MEM, 0), nothing));
    assert_false(refused((struct sock_filter)BPF_STMT(BPF_ST, 0), (struct sock_filter)BPF_STMT(BPF_LD | BPF_MEM, 0)));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_ST, 16), nothing));
    assert_false(refused((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), nothing));
    assert_true(refused((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0), nothing));
    assert_true(refused((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), nothing));
    assert_true(refused((struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 2), nothing));
    assert_non_null(bpf_objection(&(struct sock_fprog){.len = 1, .filter = endless}));
    assert_non_null(bpf_objection(&(struct sock_fprog){0}));
}

static void strictest_wins(void **state)
{
    static const uint32_t by_strictness[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                             SECCOMP_RET_ERRNO | 1,    SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,
                                             SECCOMP_RET_ALLOW};

    (void)state;
    for (size_t i = 0; i < COUNT(by_strictness); i++)
        for (size_t k = 0; k < COUNT(by_strictness); k++) {
            struct sock_filter older = BPF_STMT(BPF_RET | BPF_K, by_strictness[i]);
            struct sock_filter newer = BPF_STMT(BPF_RET | BPF_K, by_strictness[k]);
            const struct sock_fprog stack[] = {{.len = 1, .filter = &older}, {.len = 1, .filter = &newer}};
            const struct seccomp_data call = {0};

            assert_int_equal(bpf_run_stack(stack, 2, &call), by_strictness[i < k ? i : k]);
        }
}

/* ---- loaded for real ---- */

/* Copied to where the stub's text is: long call(long nr, const long args[6]), and how a signal handler returns. */
extern const unsigned char stub_code[];
extern const unsigned char stub_restorer[];
extern const unsigned char stub_code_end[];
__asm__(".pushsection .text\n"
        "stub_code: mov %rdi, %rax; mov %rsi, %r11; mov (%r11), %rdi; mov 8(%r11), %rsi; mov 16(%r11), %rdx\n"
        "mov 24(%r11), %r10; mov 32(%r11), %r8; mov 40(%r11), %r9; syscall; ret\n"
        "stub_restorer: mov $15, %eax; syscall\n"
        "stub_code_end: .popsection\n");

typedef long stub_call(long nr, const long args[6]);

struct kernel_action {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

/* What the child tells its parent; it cannot speak otherwise. */
struct seen {
    volatile int step; /* the step that was wrong, or DONE */
    volatile int traps;
};

#define DONE (-1)

static struct seen *seen;
static stub_call *inside;

/* No call is made here, and the way back is a call of stub code. */
static void count_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    seen->traps += info->si_code == 1 && info->si_arch == NATIVE;
}

static uint64_t map_stub(void)
{
    char *space = mmap(NULL, 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(space, MAP_FAILED);
    return ((uintptr_t)space + GIB - 1) / GIB * GIB;
}

static void fill_stub(const struct stub_filter_layout *at, const struct sock_fprog *guest)
{
    assert_int_equal(mprotect((void *)at->region_start, 4 * 4096, PROT_READ | PROT_WRITE), 0);
    memcpy((void *)at->text_start, stub_code, (size_t)(stub_code_end - stub_code));
    memcpy((void *)at->guest_program, guest, sizeof(*guest));
    assert_int_equal(mprotect((void *)at->text_start, 4096, PROT_READ | PROT_EXEC), 0);
}

/* Was the call trapped, or did it give what is wanted? */
static bool traps(long nr, long a, long b, long c)
{
    const int before = seen->traps;
    inside(nr, (const long[6]){a, b, c});
    return seen->traps == before + 1;
}

static bool gives(long result, long nr, long a, long b, long c)
{
    const int before = seen->traps;
    return inside(nr, (const long[6]){a, b, c}) == result && seen->traps == before;
}

static bool outside_traps(void)
{
    const int before = seen->traps;
    syscall(SYS_getppid);
    return seen->traps == before + 1;
}

static int run_stub(const struct stub_filter_layout *at, const struct sock_fprog *base, pid_t parent)
{
    const struct kernel_action action = {.handler = (uintptr_t)count_trap,
                                         .flags = SA_SIGINFO | 0x04000000 /* SA_RESTORER */,
                                         .restorer = at->text_start + (uint64_t)(stub_restorer - stub_code)};
    const long word = (long)at->region_start;

    /* cmocka handles SIGILL, by which the child ends. */
    if (signal(SIGILL, SIG_DFL) == SIG_ERR || prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, base))
        return 1;
    /* BASE */
    if (!gives(parent, SYS_getppid, 0, 0, 0) || !outside_traps() || !traps(SYS_getpid, 0, 0, 0))
        return 2;
    if (!gives(0, SYS_futex, word, FUTEX_WAKE, 1) || !traps(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1) ||
        !traps(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)at->guest_program + 16))
        return 3;
    /* GUEST on top, as a worker loads it. */
    if (!gives(0, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)at->guest_program))
        return 4;
    if (!gives(0, SYS_sched_yield, 0, 0, 0) || !gives(0, SYS_futex, word, FUTEX_WAKE, 1) || !outside_traps())
        return 5;
    if (!traps(SYS_getppid, 0, 0, 0) || !traps(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)at->guest_program) ||
        !traps(SYS_exit_group, 0, 0, 0))
        return 6;
    return DONE;
}

/* valgrind makes calls of its own in this process, and a filter would stop those. */
static bool under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "vgpreload");
}

static void loaded_by_the_kernel(void **state)
{
    struct stub_filter_layout at = {.region_start = map_stub()};
    struct sock_fprog base;
    struct sock_fprog guest;
    const pid_t parent = getpid();
    int status;

    (void)state;
    if (under_valgrind())
        skip();
    at.text_start = at.region_start + 4096;
    at.text_end = at.text_start + (uint64_t)(stub_code_end - stub_code);
    at.guest_program = at.region_start + 3 * 4096;
    assert_int_equal(stub_filters_build(&at, &base, &guest), 0);
    fill_stub(&at, &guest);
    seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(seen, MAP_FAILED);
    inside = (stub_call *)at.text_start;

    const pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        seen->step = run_stub(&at, &base, parent);
        /* The only way to end that GUEST leaves; sanitizers make calls before __builtin_trap(). */
        for (;;)
            __asm__ volatile("ud2");
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(seen->step, DONE);
    assert_int_equal(seen->traps, 8);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGILL);
    free(base.filter);
    free(guest.filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulator_refuses),    cmocka_unit_test(strictest_wins),
        cmocka_unit_test(as_the_table_says),    cmocka_unit_test(layouts_that_are_none),
        cmocka_unit_test(loaded_by_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
