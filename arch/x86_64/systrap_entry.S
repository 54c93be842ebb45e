/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The syscall thread of a systrap stub: the first thread of its process. It
 * takes orders from a page that only the library can write, makes the calls,
 * answers, sleeps. It uses no memory but that page, for the guest can write
 * all other memory, and no stack at all.
 *
 *   %r12   the region (stub/systrap_protocol.h)
 *   %r13d  sequence number of the last order
 *   %r14d  descriptor of the subprocess's file
 *   %r15d  the pid of the embedder
 *   %rbx   next call        } of a batch
 *   %ebp   how many are left}
 */
#include <asm/unistd.h>

#include "protocol.h"
#include "systrap_protocol.h"
#include "systrap_slot.h"

#define SIGKILL 9
#define SIG_SETMASK 2
#define SIGSET_SIZE 8
#define PR_SET_PDEATHSIG 1
#define SECCOMP_SET_MODE_FILTER 1
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define CLONE_THREAD 0x10000
#define ALL_WAITERS 0x7fffffff
#define LARGEST_ERROR -4095
#define SEALED -1 /* EPERM: something in there is (mseal(2)), and all of it is left as it was */
#define TASK_END_57 0x00fffffffffff000
#define TASK_END_47 0x00007ffffffff000

/* EFLAGS: interrupts are always on; all but that and the six that arithmetic sets must be restored in a slower way. */
#define USUAL_FLAGS    0x202
#define UNUSUAL_FLAGS  0xfffff528
#define OVERFLOW_SHIFT 11

        .section .text.entry, "ax", @progbits

/* A process that still has the embedder's memory: unmap all but the region. What is sealed the library goes round. */
        .globl  tg_systrap_entry
tg_systrap_entry:
        xorl    %esp, %esp
        xorl    %edi, %edi
        movq    %r12, %rsi
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        cmpq    $SEALED, %rax
        movl    $STUB_EXIT_SWEEP, %edi
        jne     give_up
1:

        /* Five-level page tables first; where there are none the kernel refuses that range. */
        leaq    SYSTRAP_REGION_SIZE(%r12), %rdi
        movabsq $TASK_END_57, %rsi
        subq    %rdi, %rsi
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      swept
        leaq    SYSTRAP_REGION_SIZE(%r12), %rdi
        movabsq $TASK_END_47, %rsi
        subq    %rdi, %rsi
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      swept
        cmpq    $SEALED, %rax
        movl    $STUB_EXIT_SWEEP, %edi
        jne     give_up
swept:
        xorl    %ebp, %ebp
        movl    $1, %r13d

/* A new process: dies with the embedder, also when that ended before this line. */
new_process:
        movl    $PR_SET_PDEATHSIG, %edi
        movl    $SIGKILL, %esi
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        movl    $__NR_prctl, %eax
        syscall
        testq   %rax, %rax
        movl    $STUB_EXIT_PRCTL, %edi
        jnz     give_up
        movl    $__NR_getppid, %eax
        syscall
        cmpl    %r15d, %eax
        movl    $STUB_EXIT_PARENT, %edi
        jne     give_up
        xorl    %eax, %eax
        testl   %ebp, %ebp
        jz      reply

/*
 * Its mother may be killed before she can tell the library of it. Then nobody
 * knows it, and its descriptor may soon be another's: it does nothing before
 * the library says so, and ends when that says that it never will.
 */
wait_until_known:
        leaq    (SYSTRAP_ORDERS + ORDERS_GO)(%r12), %rdi
        movl    (SYSTRAP_CONFIG + CONFIG_SPIN_PAUSES)(%r12), %ecx
1:      movl    (%rdi), %edx
        cmpl    %r13d, %edx
        je      known
        cmpl    $ORDERS_GO_AWAY, %edx
        je      give_up
        pause
        subl    $1, %ecx
        jae     1b
        movl    $FUTEX_WAIT, %esi
        xorl    %r10d, %r10d
        movl    $__NR_futex, %eax
        syscall
        jmp     wait_until_known
known:
        /* The rest of the batch gives it memory of its own instead of its mother's. */
        movl    $1, %r13d
        addq    $STUB_CALL_SIZE, %rbx
        decl    %ebp
        jmp     next_call

/* %rax: the last result. What becomes the file offset must be no negative number. */
reply:
        movl    %eax, %edx
        cmpq    $LARGEST_ERROR, %rax
        jae     1f
        andl    $0x7fffffff, %edx
1:      movl    %r13d, %esi
        andl    $REPLY_SEQUENCE_MASK, %esi
        shlq    $(REPLY_SEQUENCE_SHIFT - REPLY_LEFT_SHIFT), %rsi
        movl    %ebp, %eax
        orq     %rax, %rsi
        shlq    $REPLY_LEFT_SHIFT, %rsi
        orq     %rdx, %rsi
        movl    %r14d, %edi
        xorl    %edx, %edx
        movl    $__NR_lseek, %eax
        syscall
        leaq    SYSTRAP_CONTROL(%r12), %rdi
        movl    %r13d, %eax
        xchgl   %eax, CONTROL_REPLY(%rdi)
        cmpl    $0, CONTROL_REPLY_WAITING(%rdi)
        je      wait_for_order
        movl    $FUTEX_WAKE, %esi
        movl    $ALL_WAITERS, %edx
        movl    $__NR_futex, %eax
        syscall

wait_for_order:
        leaq    (SYSTRAP_ORDERS + ORDERS_REQUEST)(%r12), %rdi
        movl    (SYSTRAP_ORDERS + ORDERS_PAUSES)(%r12), %ecx
1:      movl    (%rdi), %eax
        cmpl    %r13d, %eax
        jne     take_order
        pause
        subl    $1, %ecx
        jae     1b
        movl    $FUTEX_WAIT, %esi
        movl    %r13d, %edx
        xorl    %r10d, %r10d
        movl    $__NR_futex, %eax
        syscall
        jmp     wait_for_order

take_order:
        movl    %eax, %r13d
        movl    (SYSTRAP_ORDERS + ORDERS_COUNT)(%r12), %ebp
        leaq    (SYSTRAP_ORDERS + ORDERS_CALLS)(%r12), %rbx
        xorl    %eax, %eax
        testl   %ebp, %ebp
        jz      reply

next_call:
        movq    STUB_CALL_NR(%rbx), %rax
        movq    STUB_CALL_ARG0(%rbx), %rdi
        movq    STUB_CALL_ARG1(%rbx), %rsi
        movq    STUB_CALL_ARG2(%rbx), %rdx
        movq    STUB_CALL_ARG3(%rbx), %r10
        movq    STUB_CALL_ARG4(%rbx), %r8
        movq    STUB_CALL_ARG5(%rbx), %r9
        cmpl    $__NR_clone, %eax
        je      clone
        syscall
        cmpq    $LARGEST_ERROR, %rax
        jae     reply
        addq    $STUB_CALL_SIZE, %rbx
        decl    %ebp
        jnz     next_call
        jmp     reply

/* clone(2) has five arguments; the sixth is for the child: its descriptor, or the worker's number. */
clone:
        syscall
        testq   %rax, %rax
        jz      child
        cmpq    $LARGEST_ERROR, %rax
        jae     reply
        xorl    %ebp, %ebp
        jmp     reply
child:
        /* Its own registers only: the orders may be others by now. */
        testl   $CLONE_THREAD, %edi
        jnz     new_worker
        movl    %r9d, %r14d
        jmp     new_process

/* Takes its signal stack and its filter, both from pages that nobody here can write; then guests may come. */
new_worker:
        imulq   $CONFIG_STACK_SIZE, %r9, %rdi
        leaq    (SYSTRAP_CONFIG + CONFIG_STACKS)(%r12, %rdi), %rdi
        xorl    %esi, %esi
        movl    $__NR_sigaltstack, %eax
        syscall
        testq   %rax, %rax
        movl    $STUB_EXIT_SIGALTSTACK, %edi
        jnz     give_up
        movl    $SIG_SETMASK, %edi
        leaq    (SYSTRAP_CONFIG + CONFIG_BEGIN_MASK)(%r12), %rsi
        xorl    %edx, %edx
        movl    $SIGSET_SIZE, %r10d
        movl    $__NR_rt_sigprocmask, %eax
        syscall
        testq   %rax, %rax
        movl    $STUB_EXIT_SIGMASK, %edi
        jnz     give_up
        /* The syscall thread, which it comes from, may be bound to a processor. Where the host refuses it stays so. */
        movq    (SYSTRAP_CONFIG + CONFIG_CPUS_SIZE)(%r12), %rsi
        testq   %rsi, %rsi
        jz      1f
        xorl    %edi, %edi
        leaq    (SYSTRAP_CONFIG + CONFIG_CPUS)(%r12), %rdx
        movl    $__NR_sched_setaffinity, %eax
        syscall
1:      movl    $SECCOMP_SET_MODE_FILTER, %edi
        xorl    %esi, %esi
        leaq    (SYSTRAP_CONFIG + CONFIG_GUEST_PROGRAM)(%r12), %rdx
        movl    $__NR_seccomp, %eax
        syscall
        testq   %rax, %rax
        movl    $STUB_EXIT_SECCOMP, %edi
        jnz     give_up
        /* The signal handler takes it from here. */
        .globl  tg_systrap_begin
tg_systrap_begin:
        ud2

/* %edi: STUB_EXIT_ */
give_up:
        movl    $__NR_exit_group, %eax
        syscall
        hlt

        .globl  tg_systrap_restorer
tg_systrap_restorer:
        movl    $__NR_rt_sigreturn, %eax
        syscall
        int3            /* the host refuses it: STUB_SIGNAL_SIGRETURN */

/*
 * Patched calls. A trampoline comes here with the address where it goes on in
 * %rcx, and the original instruction pointer before that; %r11 is free too.
 */
        .globl  tg_systrap_patched
tg_systrap_patched:
        movabsq $GS_HIDDEN, %r11
        .globl  tg_systrap_patched_gs
tg_systrap_patched_gs:
        movq    %gs:WORKER_SLOT(%r11), %r11
        movq    %rax, SLOT_CALL(CALL_RAX)(%r11)
        movq    %rdi, SLOT_CALL(CALL_RDI)(%r11)
        movq    %rsi, SLOT_CALL(CALL_RSI)(%r11)
        movq    %rdx, SLOT_CALL(CALL_RDX)(%r11)
        movq    %r10, SLOT_CALL(CALL_R10)(%r11)
        movq    %r8, SLOT_CALL(CALL_R8)(%r11)
        movq    %r9, SLOT_CALL(CALL_R9)(%r11)
        movq    %rsp, SLOT_OTHER(OTHER_RSP)(%r11)
        movq    %rbx, SLOT_OTHER(OTHER_RBX)(%r11)
        movq    %rbp, SLOT_OTHER(OTHER_RBP)(%r11)
        movq    %r12, SLOT_OTHER(OTHER_R12)(%r11)
        movq    %r13, SLOT_OTHER(OTHER_R13)(%r11)
        movq    %r14, SLOT_OTHER(OTHER_R14)(%r11)
        movq    %r15, SLOT_OTHER(OTHER_R15)(%r11)
        movq    %rcx, SLOT_RESUME(%r11)
        movq    -8(%rcx), %rcx
        movq    %rcx, SLOT_OTHER(OTHER_RIP)(%r11)
        movq    %rcx, SLOT_OTHER(OTHER_RCX)(%r11)
        movq    SLOT_STACK(%r11), %rsp
        pushfq
        popq    %rcx
        movq    %rcx, SLOT_OTHER(OTHER_EFLAGS)(%r11)
        movq    %rcx, SLOT_OTHER(OTHER_R11)(%r11)
        testl   $UNUSUAL_FLAGS, %ecx
        jnz     make_flags_usual
flags_are_usual:
        movq    %r11, %rdi
        call    tg_systrap_patched_call
        ud2
make_flags_usual:
        pushq   $USUAL_FLAGS
        popfq
        jmp     flags_are_usual

/*
 * Out to the guest again; %rdi: the slot. From the check on, a kick makes the
 * signal handler report the slot as it is. Returns only if there was one before.
 */
        .globl  tg_systrap_exit
tg_systrap_exit:
        cmpl    $0, SLOT_KICK(%rdi)
        jne     1f
        movq    %rdi, %r11
        movl    SLOT_OTHER(OTHER_EFLAGS)(%r11), %eax
        testl   $UNUSUAL_FLAGS, %eax
        jnz     2f
        /* Since the entry the others are as usual; popfq is slow. */
        movl    %eax, %ecx
        shll    $8, %eax
        shrl    $OVERFLOW_SHIFT, %ecx
        addb    $0x7f, %cl /* overflows if the bit is set */
        sahf
3:      movq    SLOT_CALL(CALL_RAX)(%r11), %rax
        movq    SLOT_CALL(CALL_RDI)(%r11), %rdi
        movq    SLOT_CALL(CALL_RSI)(%r11), %rsi
        movq    SLOT_CALL(CALL_RDX)(%r11), %rdx
        movq    SLOT_CALL(CALL_R10)(%r11), %r10
        movq    SLOT_CALL(CALL_R8)(%r11), %r8
        movq    SLOT_CALL(CALL_R9)(%r11), %r9
        movq    SLOT_OTHER(OTHER_RBX)(%r11), %rbx
        movq    SLOT_OTHER(OTHER_RBP)(%r11), %rbp
        movq    SLOT_OTHER(OTHER_R12)(%r11), %r12
        movq    SLOT_OTHER(OTHER_R13)(%r11), %r13
        movq    SLOT_OTHER(OTHER_R14)(%r11), %r14
        movq    SLOT_OTHER(OTHER_R15)(%r11), %r15
        movq    SLOT_OTHER(OTHER_RCX)(%r11), %rcx
        movq    SLOT_OTHER(OTHER_RSP)(%r11), %rsp
        jmp     *SLOT_RESUME(%r11)
2:      movq    SLOT_STACK(%r11), %rsp
        pushq   %rax
        popfq
        jmp     3b
        .globl  tg_systrap_exit_end
tg_systrap_exit_end:
1:      ret

/*
 * Copies %rdx bytes from %rsi to %rdi. What is left in %rax, where a byte cannot
 * be read or written: the handler of the fault goes on behind it.
 */
        .globl  tg_systrap_copy
tg_systrap_copy:
        movq    %rdx, %rcx
        .globl  tg_systrap_copying
tg_systrap_copying:
        rep movsb
        .globl  tg_systrap_copied
tg_systrap_copied:
        movq    %rcx, %rax
        ret

/* Into the signal handler, which can give a context any registers. */
        .globl  tg_systrap_slow
tg_systrap_slow:
        ud2

        .section .note.GNU-stack, "", @progbits
