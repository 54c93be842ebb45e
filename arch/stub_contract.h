/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What an architecture provides for the code inside of stubs. The other half of
 * the contract, for the library's side, is arch_cpu.h.
 *
 * In general: stub code has no relocation and no data, and what a guest can
 * write decides nothing in it that the library relies on (stub/stub.lds,
 * stub/protocol.h, stub/systrap_protocol.h). stub.cmake of the folder says
 * which stubs there are (TG_ARCH_STUBS) and which options the compiler needs
 * so that it calls no library and uses general registers only (TG_STUB_FLAGS).
 *
 * The stub of ptrace, stub_entry.S: no stack, no memory but the batch page.
 * Each tg_stub_NAME becomes STUB_OFFSET_NAME of stub_offsets.h, for the
 * architecture's own struct arch_ptrace:
 *   tg_stub_entry        unmaps all but the stub, then parks
 *   tg_stub_park         sleeps until the library makes it do something
 *   tg_stub_JOB          for each enum arch_stub_job
 *   tg_stub_JOB_end      behind the instruction that traps after it
 *
 * The stub of systrap, systrap_entry.S, with stub/systrap_worker.c:
 *   tg_systrap_entry     the syscall thread, see below
 *   tg_systrap_begin     a worker that is ready for its first signal: traps
 *   tg_systrap_handler   of all signals; the worker's, in C
 *   tg_systrap_restorer  rt_sigreturn(2), and STUB_SIGNAL_SIGRETURN if that is refused
 *   tg_systrap_exit      runs a slot's context without the handler, for patched calls
 *   tg_systrap_exit_end  behind it
 *   tg_systrap_slow      traps, for a context that needs the handler
 *   tg_systrap_copy      as memcpy(3), but returns how many bytes are left: where one cannot be copied the copy
 *                        ends, by arch_end_copy()
 *
 * The syscall thread takes orders from memory that only the library can write
 * and keeps all else in registers, for a guest can write everything else:
 *
 *   entry:   munmap all but the region; last = 1; left = 0
 *   process: prctl(PR_SET_PDEATHSIG, SIGKILL); exit if getppid() != embedder
 *            if left: wait with futex(2) until orders.go == last (exit at
 *                ORDERS_GO_AWAY); last = 1; skip the clone call; goto calls
 *   reply:   lseek(file, result | left << REPLY_LEFT_SHIFT |
 *                last << REPLY_SEQUENCE_SHIFT)
 *            control.reply = last, with a full barrier before the next look;
 *            if control.reply_waiting: wake all
 *   wait:    while orders.request == last: futex(2)
 *            last = orders.request; left = orders.count
 *   calls:   for each call of orders: make it; at an error: answer; left -= 1
 *            a clone(2) ends the batch: the parent answers, and the child reads
 *            nothing of the orders but what is in its registers already. With
 *            CLONE_THREAD it is worker number argument 5: sigaltstack(2),
 *            rt_sigprocmask(2) and seccomp(2) from config, then
 *            tg_systrap_begin; else argument 5 is its file: goto process
 */
#ifndef ARCH_STUB_CONTRACT_H
#define ARCH_STUB_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "systrap_protocol.h"

/*
 * The library's own vDSO is no stub code, and runs with the guest's rights: vdso.c and vdso.lds of the folder, with
 * vdso_counter.h for stub/vdso_reader.h:
 *   vdso_counter()       not before what was loaded above it
 *   vdso_zero_after(c)   0, known when the counter c has been read
 *   vdso_pause()
 */

/* systrap_stub.h of the folder: struct stub_sigframe and stub_siginfo as the kernel makes them, and the functions. */
struct stub_sigframe;
struct stub_siginfo;

/* In a loop that waits, between two looks: long, and short, for an answer that is almost there. */
static inline void arch_pause(void);
static inline void arch_between_looks(void);
/* What arch_systrap.ticks() counts; not before what is written above it has happened. */
static inline uint64_t arch_ticks(void);
/* Without a timeout. */
static inline int64_t arch_futex(uint32_t *word, uint32_t op, uint32_t value);
/* Ends this thread. */
__attribute__((noreturn)) static inline void arch_end_thread(void);

/* ---- in the signal handler ---- */

static inline uint64_t arch_ip(const struct stub_sigframe *frame);
/* Of the thread, from the return of the handler on. */
static inline void arch_set_signal_mask(struct stub_sigframe *frame, uint64_t mask);
/* Stub code goes on without stopping at each instruction; the context goes on stopping. */
static inline void arch_stop_stepping(struct stub_sigframe *frame);
static inline void arch_go_on_stepping(struct systrap_slot *slot);
/* All but the FP state, from the frame and from the processor into the slot, and what the signal was. */
static inline void arch_save(struct systrap_slot *slot, const struct stub_siginfo *info,
                             const struct stub_sigframe *frame, const struct systrap_worker *worker);
/* The reverse. hide: a guest without a base of its own gets the worker's, for patched calls. */
static inline void arch_restore(const struct systrap_slot *slot, struct stub_sigframe *frame,
                                const struct systrap_worker *worker, bool hide);
/* Was the fault one of tg_systrap_copy? Then that returns when the handler does. */
static inline bool arch_end_copy(struct stub_sigframe *frame);
/* FP state of the frame, in the layout of tg_context_get_fpstate(). */
static inline void arch_save_fp(uint8_t *image, uint64_t size, const struct stub_sigframe *frame);
static inline void arch_load_fp(const uint8_t *image, uint64_t size, const struct stub_sigframe *frame);
/* Where it lies in the frame: arch_systrap.fp_from_frame() finds it there when the worker is dead. */
static inline uint8_t *arch_frame_fp(const struct stub_sigframe *frame);

/* ---- in a patched call ---- */

/* FP state that is in the processor. */
static inline void arch_save_live_fp(uint8_t *image, uint64_t features);
static inline void arch_load_live_fp(const uint8_t *image, uint64_t features);
/* Did the signal come from the entry of a patched call that cannot be made? Then the slot becomes that of a call. */
static inline bool arch_is_declined_patch(const struct stub_sigframe *frame);
static inline void arch_make_syscall(struct systrap_slot *slot);
/* What the entry has not saved; gives what only the guest changes and arch_restore_patched() takes again. */
static inline uint64_t arch_save_patched(struct systrap_slot *slot, uint64_t trampolines);
static inline uint64_t arch_restore_patched(const struct systrap_slot *slot, uint64_t in_processor);
/* The call's number as the guest gave it, its arguments, and the result that it goes on with. */
static inline uint64_t arch_patched_number(const struct systrap_slot *slot);
static inline uint64_t arch_patched_argument(const struct systrap_slot *slot, uint32_t index);
static inline void arch_answer_patched(struct systrap_slot *slot, uint64_t result);
/* May the context go on as after a patched call? */
static inline bool arch_resumable(const struct systrap_slot *slot);
/* The last jump, to tg_systrap_slow. Does not return. */
static inline void arch_leave_by_handler(void);

#endif
