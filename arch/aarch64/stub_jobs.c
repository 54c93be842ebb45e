/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The registers that make a stub thread do injected work, and reading its result. */
#include <string.h>
#include <sys/syscall.h>

#include "aarch64.h"
#include "stub_offsets.h"

#define UPPER_HALF 0xffffffff00000000ull
#define LOWER_HALF 0x00000000ffffffffull

/* stub_entry.S */
#define EMBEDDER_PID 22
#define COOKIE       19
#define NEXT_CALL    23
#define CALLS_LEFT   24

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

void a64_stub_request(tg_regs *regs, const struct arch_stub_request *request)
{
    a64_regs_init(regs);
    regs->pc = request->stub_start + job_entry[request->job];
    switch (request->job) {
    case ARCH_STUB_PARK:
        break;
    case ARCH_STUB_CALL:
    case ARCH_STUB_CLONE_THREAD:
    case ARCH_STUB_CLONE_PROCESS:
        regs->x[A64_NUMBER] = request->call.nr;
        memcpy(regs->x, request->call.args, sizeof(request->call.args));
        regs->x[EMBEDDER_PID] = request->embedder_pid;
        break;
    case ARCH_STUB_BATCH:
        regs->x[COOKIE] = request->cookie;
        regs->x[NEXT_CALL] = request->batch;
        regs->x[CALLS_LEFT] = request->batch_count;
        break;
    case ARCH_STUB_SLEEP:
        regs->x[NEXT_CALL] = request->batch;
        break;
    }
}

int64_t a64_stub_result(const tg_regs *regs)
{
    return (int64_t)regs->x[0];
}

uint64_t a64_stub_batch_left(const tg_regs *regs)
{
    return regs->x[CALLS_LEFT];
}

enum arch_stub_place a64_stub_place(const tg_regs *regs, uint64_t stub_start)
{
    const uint64_t offset = regs->pc - stub_start;

    if (offset >= STUB_OFFSET_PARK && offset < STUB_OFFSET_PARK_END)
        return ARCH_STUB_PARKED;
    for (size_t i = 0; i < sizeof(job_end) / sizeof(job_end[0]); i++) {
        if (offset == job_end[i])
            return ARCH_STUB_FINISHED;
    }
    return ARCH_STUB_ELSEWHERE;
}

void a64_stub_add_cookie(struct stub_call *call, uint64_t cookie)
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
