/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The registers that make a stub thread do injected work, and reading its result. */
#include <sys/syscall.h>

#include "stub_offsets.h"
#include "x86_64.h"

#define UPPER_HALF 0xffffffff00000000ull
#define LOWER_HALF 0x00000000ffffffffull

static const uint64_t job_entry[] = {
    [ARCH_STUB_PARK] = STUB_OFFSET_PARK,
    [ARCH_STUB_CALL] = STUB_OFFSET_CALL,
    [ARCH_STUB_CLONE_THREAD] = STUB_OFFSET_CLONE_THREAD,
    [ARCH_STUB_CLONE_PROCESS] = STUB_OFFSET_CLONE_PROCESS,
    [ARCH_STUB_BATCH] = STUB_OFFSET_BATCH,
    [ARCH_STUB_SLEEP] = STUB_OFFSET_SLEEP,
};

/* Where a thread is when the trap behind a job has stopped it. */
static const uint64_t job_end[] = {
    STUB_OFFSET_CALL_END,  STUB_OFFSET_CLONE_THREAD_END, STUB_OFFSET_CLONE_PROCESS_END,
    STUB_OFFSET_BATCH_END, STUB_OFFSET_SLEEP_END,
};

void x86_stub_request(tg_regs *regs, const struct arch_stub_request *request)
{
    const struct stub_call *call = &request->call;

    x86_regs_init(regs);
    regs->rip = request->stub_start + job_entry[request->job];
    switch (request->job) {
    case ARCH_STUB_PARK:
        break;
    case ARCH_STUB_CALL:
    case ARCH_STUB_CLONE_THREAD:
    case ARCH_STUB_CLONE_PROCESS:
        regs->rax = call->nr;
        regs->rdi = call->args[0];
        regs->rsi = call->args[1];
        regs->rdx = call->args[2];
        regs->r10 = call->args[3];
        regs->r8 = call->args[4];
        regs->r9 = call->args[5];
        regs->r15 = request->embedder_pid;
        break;
    case ARCH_STUB_BATCH:
        regs->r12 = request->cookie;
        regs->rbx = request->batch;
        regs->rbp = request->batch_count;
        break;
    case ARCH_STUB_SLEEP:
        regs->rbx = request->batch;
        break;
    }
}

int64_t x86_stub_result(const tg_regs *regs)
{
    return (int64_t)regs->rax;
}

uint64_t x86_stub_batch_left(const tg_regs *regs)
{
    return regs->rbp;
}

enum arch_stub_place x86_stub_place(const tg_regs *regs, uint64_t stub_start)
{
    uint64_t offset = regs->rip - stub_start;

    if (offset >= STUB_OFFSET_PARK && offset < STUB_OFFSET_PARK_END)
        return ARCH_STUB_PARKED;
    for (size_t i = 0; i < sizeof(job_end) / sizeof(job_end[0]); i++) {
        if (offset == job_end[i])
            return ARCH_STUB_FINISHED;
    }
    return ARCH_STUB_ELSEWHERE;
}

void x86_stub_add_cookie(struct stub_call *call, uint64_t cookie)
{
    switch (call->nr) {
    case SYS_mmap:
        call->args[3] = (call->args[3] & LOWER_HALF) | (cookie & UPPER_HALF);
        call->args[4] = (call->args[4] & LOWER_HALF) | cookie << 32;
        break;
    case SYS_munmap:
        call->args[2] = cookie;
        break;
    case SYS_mprotect:
    case SYS_madvise:
        call->args[3] = cookie;
        break;
    case SYS_mremap:
    case SYS_clone:
        call->args[5] = cookie;
        break;
    default:
        break;
    }
}
