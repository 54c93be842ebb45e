/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The stub of x86-64. Every label that starts with tg_stub_ becomes an offset
 * in the generated header stub_offsets.h.
 *
 * Registers that live through stub code:
 *   %r12  the cookie (stub/protocol.h)
 *   %r13  start of the stub's memory    } used while the address space
 *   %r14  end of the stub's memory      } is swept
 *   %r15  the pid of the embedder
 *   %rbx  next struct stub_call         } used by a batch
 *   %rbp  how many are left             }
 */
#include <asm/unistd.h>

#include "protocol.h"

#define SIGKILL 9
#define PR_SET_PDEATHSIG 1 /* linux/prctl.h is for C only */
#define LARGEST_ERROR -4095
#define SEALED -1 /* EPERM: something in there is (mseal(2)), and all of it is left as it was */
#define TASK_END_57 0x00fffffffffff000
#define TASK_END_47 0x00007ffffffff000

        .section .text.entry, "ax", @progbits

/* A process that still has the embedder's memory: unmap all but the stub. What is sealed the library goes round. */
        .globl  tg_stub_entry
tg_stub_entry:
        xorl    %edi, %edi
        movq    %r13, %rsi
        movq    %r12, %rdx
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        cmpq    $SEALED, %rax
        movl    $STUB_EXIT_SWEEP, %edi
        jne     stop_for_ever
1:

        /* Five-level page tables first; where there are none the kernel refuses that range. */
        movabsq $TASK_END_57, %rsi
        subq    %r14, %rsi
        movq    %r14, %rdi
        movq    %r12, %rdx
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      tg_stub_child
        movabsq $TASK_END_47, %rsi
        subq    %r14, %rsi
        movq    %r14, %rdi
        movq    %r12, %rdx
        movl    $__NR_munmap, %eax
        syscall
        testq   %rax, %rax
        jz      tg_stub_child
        cmpq    $SEALED, %rax
        movl    $STUB_EXIT_SWEEP, %edi
        jne     stop_for_ever

/* A new process: dies with the embedder, also when that ended before this line. */
        .globl  tg_stub_child
tg_stub_child:
        movl    $PR_SET_PDEATHSIG, %edi
        movl    $SIGKILL, %esi
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        movl    $__NR_prctl, %eax
        syscall
        testq   %rax, %rax
        movl    $STUB_EXIT_PRCTL, %edi
        jnz     stop_for_ever
        movl    $__NR_getppid, %eax
        syscall
        cmpl    %r15d, %eax
        movl    $STUB_EXIT_PARENT, %edi
        jne     stop_for_ever
        /* The cookie is in %r12 or, of a clone, in %r9. The pid is nothing to hide, but an idle thread holds nothing. */
        xorl    %r9d, %r9d
        xorl    %r12d, %r12d
        xorl    %r15d, %r15d

/* A thread that nobody traces sleeps here until one does. It blocks every signal: stub_thread_park(). */
        .globl  tg_stub_park
tg_stub_park:
        xorl    %edi, %edi
        xorl    %esi, %esi
        xorl    %edx, %edx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        movl    $__NR_ppoll, %eax
        syscall
        jmp     tg_stub_park
        .globl  tg_stub_park_end
tg_stub_park_end:

/* %edi: STUB_EXIT_ */
stop_for_ever:
        movl    $__NR_exit_group, %eax
        syscall
        hlt

/* One injected call, then back to the tracer. */
        .globl  tg_stub_call
tg_stub_call:
        syscall
        int3
        .globl  tg_stub_call_end
tg_stub_call_end:
        nop /* so that no place is the end of one job and the start of another */

/* clone: the parent goes back to its tracer, the child is on its own. */
        .globl  tg_stub_clone_thread
tg_stub_clone_thread:
        syscall
        testq   %rax, %rax
        jz      child_thread
        int3
        .globl  tg_stub_clone_thread_end
tg_stub_clone_thread_end:
        nop

        .globl  tg_stub_clone_process
tg_stub_clone_process:
        syscall
        testq   %rax, %rax
        jz      tg_stub_child
        int3
        .globl  tg_stub_clone_process_end
tg_stub_clone_process_end:

child_thread:
        xorl    %r9d, %r9d
        jmp     tg_stub_park

/*
 * A batch of memory calls. The entries hold no cookie, because the guest can
 * read the batch page; it is put in its place here. Ends at the first error
 * with the result in %rax and the number of calls left in %rbp.
 */
        .globl  tg_stub_batch
tg_stub_batch:
        movq    STUB_CALL_NR(%rbx), %rax
        movq    STUB_CALL_ARG0(%rbx), %rdi
        movq    STUB_CALL_ARG1(%rbx), %rsi
        movq    STUB_CALL_ARG2(%rbx), %rdx
        movq    STUB_CALL_ARG3(%rbx), %r10
        movq    STUB_CALL_ARG4(%rbx), %r8
        movq    STUB_CALL_ARG5(%rbx), %r9
        cmpl    $__NR_mmap, %eax
        je      batch_mmap
        cmpl    $__NR_mremap, %eax
        je      batch_mremap
        cmpl    $__NR_munmap, %eax
        cmove   %r12, %rdx
        movq    %r12, %r10
batch_call:
        syscall
        cmpq    $LARGEST_ERROR, %rax
        jae     batch_stop
        addq    $STUB_CALL_SIZE, %rbx
        decq    %rbp
        jnz     tg_stub_batch
batch_stop:
        int3
        .globl  tg_stub_batch_end
tg_stub_batch_end:

batch_mmap:
        movl    %r10d, %r10d
        movq    %r12, %rcx
        shrq    $32, %rcx
        shlq    $32, %rcx
        orq     %rcx, %r10
        movl    %r8d, %r8d
        movq    %r12, %rcx
        shlq    $32, %rcx
        orq     %rcx, %r8
        jmp     batch_call

batch_mremap:
        movq    %r12, %r9
        jmp     batch_call

/* The bell: sleeps until the time in the batch page is over, then tells its tracer. */
        .globl  tg_stub_sleep
tg_stub_sleep:
        xorl    %edi, %edi
        xorl    %esi, %esi
        movq    %rbx, %rdx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        movl    $__NR_ppoll, %eax
        syscall
        int3
        .globl  tg_stub_sleep_end
tg_stub_sleep_end:

        .section .note.GNU-stack, "", @progbits
