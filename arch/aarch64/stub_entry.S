/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The stub of AArch64. Every label that starts with tg_stub_ becomes an offset
 * in the generated header stub_offsets.h.
 *
 * Registers that live through stub code:
 *   x19  the cookie (stub/protocol.h)
 *   x20  start of the stub's memory    } used while the address space
 *   x21  end of the stub's memory      } is swept
 *   x22  the pid of the embedder
 *   x23  next struct stub_call         } used by a batch
 *   x24  how many are left             }
 *
 * A thread that brk has stopped is at it, not behind it, and there the end of
 * a job is.
 */
#include <asm/unistd.h>

#include "protocol.h"

#define SIGKILL 9
#define PR_SET_PDEATHSIG 1 /* linux/prctl.h is for C only */
#define PR_PAC_RESET_KEYS 54
#define SIGSET_SIZE 8
#define LARGEST_ERROR 4095 /* negated */
#define SEALED 1 /* EPERM, negated: something in there is (mseal(2)), and all of it is left as it was */
#define BITS_WITHOUT_A_HINT 48 /* above, memory is only where somebody has asked for it */
#define BITS_AT_MOST 52

        .section .text.entry, "ax", %progbits

/* A process that still has the embedder's memory: unmap all but the stub. What is sealed the library goes round. */
        .globl  tg_stub_entry
tg_stub_entry:
        bti     j
        mov     x0, #0
        mov     x1, x20
        mov     x2, x19
        mov     x8, #__NR_munmap
        svc     #0
        cbz     x0, 1f
        cmn     x0, #SEALED
        b.ne    sweep_failed
1:
        /* Where the kernel has less it refuses the range. */
        mov     x0, #(1 << BITS_WITHOUT_A_HINT)
        mov     x1, #(1 << BITS_AT_MOST)
        sub     x1, x1, x0
        mov     x2, x19
        mov     x8, #__NR_munmap
        svc     #0
        cmn     x0, #SEALED
        b.eq    sweep_failed

        /* And the rest: as far as the kernel goes. */
        adr     x25, space_ends
2:      ldr     x1, [x25], #8
        cbz     x1, sweep_failed
        subs    x1, x1, x21
        b.ls    2b
        mov     x0, x21
        mov     x2, x19
        mov     x8, #__NR_munmap
        svc     #0
        cbz     x0, 3f
        cmn     x0, #SEALED
        b.ne    2b
3:
        /* Guests must not sign pointers with the embedder's keys. A processor without them refuses. */
        mov     x0, #PR_PAC_RESET_KEYS
        mov     x1, #0
        mov     x2, #0
        mov     x3, #0
        mov     x4, #0
        mov     x8, #__NR_prctl
        svc     #0

/* A new process: dies with the embedder, also when that ended before this line. */
        .globl  tg_stub_child
tg_stub_child:
        mov     x0, #PR_SET_PDEATHSIG
        mov     x1, #SIGKILL
        mov     x2, #0
        mov     x3, #0
        mov     x4, #0
        mov     x8, #__NR_prctl
        svc     #0
        mov     x9, x0
        mov     x0, #STUB_EXIT_PRCTL
        cbnz    x9, stop_for_ever
        mov     x8, #__NR_getppid
        svc     #0
        mov     x9, x0
        mov     x0, #STUB_EXIT_PARENT
        cmp     w9, w22
        b.ne    stop_for_ever
        /* The cookie is in x19 or, of a clone, in x5. The pid is nothing to hide, but an idle thread holds nothing. */
        mov     x2, #0
        mov     x5, #0
        mov     x19, #0
        mov     x22, #0

/* A thread that nobody traces sleeps here until one does. It blocks every signal: stub_thread_park(). */
        .globl  tg_stub_park
tg_stub_park:
        mov     x0, #0
        mov     x1, #0
        mov     x2, #0
        mov     x3, #0
        mov     x4, #SIGSET_SIZE
        mov     x8, #__NR_ppoll
        svc     #0
        b       tg_stub_park
        .globl  tg_stub_park_end
tg_stub_park_end:

sweep_failed:
        mov     x0, #STUB_EXIT_SWEEP
/* x0: STUB_EXIT_ */
stop_for_ever:
        mov     x8, #__NR_exit_group
        svc     #0
        udf     #0

/* One injected call, then back to the tracer. */
        .globl  tg_stub_call
tg_stub_call:
        svc     #0
        .globl  tg_stub_call_end
tg_stub_call_end:
        brk     #0

/* clone: the parent goes back to its tracer, the child is on its own. */
        .globl  tg_stub_clone_thread
tg_stub_clone_thread:
        svc     #0
        cbz     x0, child_thread
        .globl  tg_stub_clone_thread_end
tg_stub_clone_thread_end:
        brk     #0

        .globl  tg_stub_clone_process
tg_stub_clone_process:
        svc     #0
        cbz     x0, tg_stub_child
        .globl  tg_stub_clone_process_end
tg_stub_clone_process_end:
        brk     #0

child_thread:
        mov     x5, #0
        b       tg_stub_park

/*
 * A batch of memory calls. The entries hold no cookie, because the guest can
 * read the batch page; it is put in its place here. Ends at the first error
 * with the result in x0 and the number of calls left in x24.
 */
        .globl  tg_stub_batch
tg_stub_batch:
        ldr     x8, [x23, #STUB_CALL_NR]
        ldp     x0, x1, [x23, #STUB_CALL_ARG0]
        ldp     x2, x3, [x23, #STUB_CALL_ARG2]
        ldp     x4, x5, [x23, #STUB_CALL_ARG4]
        cmp     w8, #__NR_mmap
        b.eq    batch_mmap
        cmp     w8, #__NR_mremap
        b.eq    batch_mremap
        cmp     w8, #__NR_munmap
        csel    x2, x19, x2, eq
        mov     x3, x19
batch_call:
        svc     #0
        cmn     x0, #LARGEST_ERROR
        b.hs    tg_stub_batch_end
        add     x23, x23, #STUB_CALL_SIZE
        subs    x24, x24, #1
        b.ne    tg_stub_batch
        .globl  tg_stub_batch_end
tg_stub_batch_end:
        brk     #0

batch_mmap:
        lsr     x9, x19, #32
        bfi     x3, x9, #32, #32
        bfi     x4, x19, #32, #32
        b       batch_call

batch_mremap:
        mov     x5, x19
        b       batch_call

/* The bell: sleeps until the time in the batch page is over, then tells its tracer. */
        .globl  tg_stub_sleep
tg_stub_sleep:
        mov     x0, #0
        mov     x1, #0
        mov     x2, x23
        mov     x3, #0
        mov     x4, #SIGSET_SIZE
        mov     x8, #__NR_ppoll
        svc     #0
        .globl  tg_stub_sleep_end
tg_stub_sleep_end:
        brk     #0

        .balign 8
space_ends:
        .quad   1 << 48, 1 << 47, 1 << 42, 1 << 39, 1 << 36, 0

        .section .note.GNU-stack, "", %progbits
