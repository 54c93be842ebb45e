/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The frame of a signal handler, as Linux builds it, and the way back. */
#include "arch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* Below the stack pointer, a function may use this much without moving it. */
#define RED_ZONE 128

/* Flags that a handler starts without: TF, DF, RF. */
#define FLAGS_CLEARED_FOR_HANDLER UINT64_C(0x10500)

/* Flags that rt_sigreturn takes from the frame: AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF. */
#define FLAGS_FROM_FRAME UINT64_C(0x50dd5)

const uint32_t arch_page_fault = 14;

/* The frame as Linux lays it out; the FP state lies above it. */
struct signal_context {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error_code, trap_number, old_mask, fault_address;
    uint64_t fpstate;
    uint64_t reserved[8];
};

struct signal_frame {
    uint64_t restorer;
    uint64_t flags;
    uint64_t link;
    uint64_t stack_base;
    int32_t stack_flags;
    uint32_t pad;
    uint64_t stack_size;
    struct signal_context context;
    uint64_t mask;
    siginfo_t info;
};

_Static_assert(sizeof(struct signal_context) == 256, "as in the kernel's struct sigcontext");
_Static_assert(offsetof(struct signal_frame, context) == 48, "as in the kernel's struct ucontext");
_Static_assert(offsetof(struct signal_frame, info) == 312, "as in the kernel's struct rt_sigframe");

#define FRAME_HAS_XSTATE 0x1
#define FRAME_HAS_SS     0x2
#define FRAME_STRICT_SS  0x4

/* What Linux writes into the software-reserved bytes of the FXSAVE area, so that a reader knows how much follows. */
struct fp_software_bytes {
    uint32_t magic;
    uint32_t extended_size;
    uint64_t features;
    uint32_t state_size;
    uint32_t pad[7];
};

#define FP_SOFTWARE_OFFSET 464
#define FP_LEGACY_SIZE     512
#define FP_HEADER_SIZE     64
#define FP_MAGIC           UINT32_C(0x46505853)
#define FP_END_MAGIC       UINT32_C(0x46505845)

_Static_assert(FP_SOFTWARE_OFFSET + sizeof(struct fp_software_bytes) == FP_LEGACY_SIZE, "the last bytes of FXSAVE");

static void save_registers(struct signal_context *context, const tg_regs *regs)
{
    *context = (struct signal_context){
        .r8 = regs->r8,
        .r9 = regs->r9,
        .r10 = regs->r10,
        .r11 = regs->r11,
        .r12 = regs->r12,
        .r13 = regs->r13,
        .r14 = regs->r14,
        .r15 = regs->r15,
        .rdi = regs->rdi,
        .rsi = regs->rsi,
        .rbp = regs->rbp,
        .rbx = regs->rbx,
        .rdx = regs->rdx,
        .rax = regs->rax,
        .rcx = regs->rcx,
        .rsp = regs->rsp,
        .rip = regs->rip,
        .eflags = regs->eflags,
        .cs = (uint16_t)regs->cs,
        .ss = (uint16_t)regs->ss,
    };
}

/* Segment selectors stay: a guest has no others. */
static void load_registers(tg_regs *regs, const struct signal_context *context)
{
    regs->r8 = context->r8;
    regs->r9 = context->r9;
    regs->r10 = context->r10;
    regs->r11 = context->r11;
    regs->r12 = context->r12;
    regs->r13 = context->r13;
    regs->r14 = context->r14;
    regs->r15 = context->r15;
    regs->rdi = context->rdi;
    regs->rsi = context->rsi;
    regs->rbp = context->rbp;
    regs->rbx = context->rbx;
    regs->rdx = context->rdx;
    regs->rax = context->rax;
    regs->rcx = context->rcx;
    regs->rsp = context->rsp;
    regs->rip = context->rip;
    regs->eflags = (regs->eflags & ~FLAGS_FROM_FRAME) | (context->eflags & FLAGS_FROM_FRAME);
}

static void describe_last_trap(struct signal_context *context, const struct task_signals *signals)
{
    context->trap_number = signals->trap_number;
    context->error_code = signals->error_code;
    context->fault_address = signals->fault_address;
}

/* The FP state as it goes to the highest place below sp that is aligned for XSAVE. */
static int make_fpstate(struct task *task, uint64_t sp, tg_transfer *out)
{
    unsigned char *state = task->sandbox->fpstate;
    size_t size = task->sandbox->info.fpstate_size;
    struct fp_software_bytes software = {
        .magic = FP_MAGIC, .extended_size = (uint32_t)(size + sizeof(uint32_t)), .state_size = (uint32_t)size};
    uint32_t end_magic = FP_END_MAGIC;
    int err = tg_context_get_fpstate(task->context, state, size);

    if (err)
        return err;
    /* The register set has the mask of the features at the start of the same bytes. */
    memcpy(&software.features, state + FP_SOFTWARE_OFFSET, sizeof(software.features));
    memcpy(state + FP_SOFTWARE_OFFSET, &software, sizeof(software));
    memcpy(state + size, &end_magic, sizeof(end_magic));
    size += sizeof(end_magic);
    *out = guest_writing((sp - size) & ~UINT64_C(63), state, size);
    return 0;
}

static bool enters_alternate_stack(const struct task_signals *signals, const struct signal_action *action, uint64_t sp)
{
    return (action->flags & SA_ONSTACK) && signals->stack_size && !on_alternate_stack(signals, sp);
}

/* Below an alternate stack lies something else, which no handler may overwrite however deep they are. */
static bool leaves_alternate_stack(const struct task_signals *signals, bool enters, uint64_t old_sp, uint64_t sp)
{
    if (!enters && !on_alternate_stack(signals, old_sp))
        return false;
    return sp <= signals->stack_base || sp - signals->stack_base > signals->stack_size;
}

/* The state that a thread and a handler start with: everything zero but the control words. 0 or -errno. */
static int reset_fpstate(struct task *task)
{
    unsigned char *state = task->sandbox->fpstate;
    size_t size = task->sandbox->info.fpstate_size;
    const uint16_t control = 0x37f;
    const uint32_t sse_control = 0x1f80;

    memset(state, 0, size);
    memcpy(state, &control, sizeof(control));
    memcpy(state + 24, &sse_control, sizeof(sse_control));
    return tg_context_set_fpstate(task->context, state, size);
}

static void enter_handler(tg_regs *regs, const struct signal_action *action, int signo, uint64_t frame)
{
    regs->rip = action->handler;
    regs->rsp = frame;
    regs->rdi = (uint64_t)signo;
    regs->rsi = frame + offsetof(struct signal_frame, info);
    regs->rdx = frame + offsetof(struct signal_frame, flags);
    regs->rax = 0;
    regs->eflags &= ~FLAGS_CLEARED_FOR_HANDLER;
}

int arch_push_signal_frame(struct task *task, const siginfo_t *info, const struct signal_action *action,
                           uint64_t saved_mask)
{
    struct task_signals *signals = &task->signals;
    tg_regs *regs = tg_context_regs_mut(task->context);
    bool enters = enters_alternate_stack(signals, action, regs->rsp);
    struct signal_frame frame = {
        .restorer = action->restorer,
        .flags = FRAME_HAS_XSTATE | FRAME_HAS_SS | FRAME_STRICT_SS,
        .stack_base = signals->stack_base,
        .stack_flags = signals->stack_size ? signals->stack_flags : SS_DISABLE,
        .stack_size = signals->stack_size,
        .mask = saved_mask,
        .info = *info,
    };
    uint64_t sp = enters ? signals->stack_base + signals->stack_size : regs->rsp - RED_ZONE;
    tg_transfer parts[2];

    save_registers(&frame.context, regs);
    describe_last_trap(&frame.context, signals);
    frame.context.old_mask = saved_mask;
    if (make_fpstate(task, sp, &parts[0]) != 0)
        return -EFAULT;
    frame.context.fpstate = parts[0].addr;
    /* As after a call instruction: the stack is 16-byte aligned above the return address. */
    sp = ((frame.context.fpstate - sizeof(frame)) & ~UINT64_C(15)) - sizeof(uint64_t);
    parts[1] = guest_writing(sp, &frame, sizeof(frame));
    if (leaves_alternate_stack(signals, enters, regs->rsp, sp) || guest_transfer(task_memory(task), parts, 2) != 0 ||
        reset_fpstate(task) != 0)
        return -EFAULT;
    enter_handler(regs, action, info->si_signo, sp);
    if (signals->stack_flags & STACK_AUTODISARM)
        forget_alternate_stack(signals);
    return 0;
}

static int pop_fpstate(struct task *task, uint64_t where)
{
    unsigned char *state = task->sandbox->fpstate;
    size_t size = task->sandbox->info.fpstate_size;
    const uint64_t legacy_features = 0x3;
    tg_transfer parts[] = {guest_reading(where, state, FP_LEGACY_SIZE),
                           guest_reading(where + FP_LEGACY_SIZE, state + FP_LEGACY_SIZE, size - FP_LEGACY_SIZE)};
    struct fp_software_bytes software;

    if (!where)
        return reset_fpstate(task);
    (void)guest_transfer(task_memory(task), parts, 2);
    if (parts[0].done < parts[0].length)
        return -EFAULT;
    memcpy(&software, state + FP_SOFTWARE_OFFSET, sizeof(software));
    if (software.magic == FP_MAGIC && parts[1].done < parts[1].length)
        return -EFAULT;
    if (software.magic != FP_MAGIC)
        memset(state + FP_LEGACY_SIZE, 0, size - FP_LEGACY_SIZE);
    if (software.magic != FP_MAGIC && size >= FP_LEGACY_SIZE + FP_HEADER_SIZE)
        memcpy(state + FP_LEGACY_SIZE, &legacy_features, sizeof(legacy_features));
    return tg_context_set_fpstate(task->context, state, size);
}

int arch_pop_signal_frame(struct task *task, uint64_t *saved_mask)
{
    tg_regs *regs = tg_context_regs_mut(task->context);
    struct signal_frame frame;
    struct task_signals *signals = &task->signals;

    /* The handler's return took the first word off the stack. */
    if (guest_read(task_memory(task), regs->rsp - sizeof(uint64_t), &frame, sizeof(frame)) != 0)
        return -EFAULT;
    load_registers(regs, &frame.context);
    *saved_mask = frame.mask;
    if (pop_fpstate(task, frame.context.fpstate) != 0) {
        (void)reset_fpstate(task);
        return -EFAULT;
    }
    signals->stack_base = frame.stack_base;
    signals->stack_size = (frame.stack_flags & SS_DISABLE) ? 0 : frame.stack_size;
    signals->stack_flags = frame.stack_flags;
    return 0;
}
