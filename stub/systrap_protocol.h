/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the stub of the systrap backend and the library agree on: the layout of
 * a stub's memory, and the structs in it. Read by C on both sides and by
 * assembly; stub/systrap_layout_check.c asserts the numbers for assembly.
 *
 * A stub's memory is one region of 1 GiB, aligned to its size, at the same
 * random address in every subprocess of a platform. The file behind all but the text
 * is the subprocess's own; an offset in the region is an offset in the file.
 *
 *   text        the blob: read and execute
 *   orders      what the syscall thread is to do: read only for the stub
 *   config      numbers that do not change, the workers' filter: read only
 *   answers     calls that the stub answers itself, and the words of contexts: read only
 *   brings      what system calls bring along: read only
 *   table       pointers to trampolines: read only, here and at the bottom of the
 *               address space, where an absolute jump reaches it
 *   trampolines of patched system calls: read and execute
 *   control     rings and wake-up words      } the guest can write these: the
 *   workers     signal stacks                } library believes nothing in them
 *   slots       states of contexts           }
 *   vDSO        between the last two, where the embedder wants guests to have it: the host's, or the
 *               library's, of which a page of clocks is the file's: read only
 */
#ifndef SYSTRAP_PROTOCOL_H
#define SYSTRAP_PROTOCOL_H

#define SYSTRAP_PROTOCOL_VERSION 1

#define SYSTRAP_REGION_SIZE  0x40000000
#define SYSTRAP_TEXT_MAX     0x10000
#define SYSTRAP_ORDERS       0x10000
#define SYSTRAP_CONFIG       0x11000
#define SYSTRAP_ANSWERS      0x14000
#define SYSTRAP_BRINGS       0x18000
#define SYSTRAP_TABLE        0x100000
#define SYSTRAP_WORDS        0x200000 /* one struct systrap_words for each slot */
#define SYSTRAP_READONLY_END 0x600000
#define SYSTRAP_TRAMPOLINES  0x600000
#define SYSTRAP_TRAMPOLINE   128 /* bytes of each */
#define SYSTRAP_CONTROL      0x800000
#define SYSTRAP_WORKERS      0x1000000
#define SYSTRAP_WORKER_SIZE  0x10000
#define SYSTRAP_WORKERS_MAX  64
#define SYSTRAP_WORKERS_END  0x1400000
#define SYSTRAP_VDSO         0x1800000
#define SYSTRAP_SLOTS        0x2000000

/* struct systrap_orders */
#define ORDERS_REQUEST 0
#define ORDERS_COUNT   4
#define ORDERS_GO      8
#define ORDERS_PAUSES  12
#define ORDERS_CALLS   16
#define ORDERS_MAX     64
#define ORDERS_GO_AWAY 0xffffffff /* no sequence number */

/* struct systrap_config */
#define CONFIG_GUEST_PROGRAM 0
#define CONFIG_SIGNAL_MASK   16
#define CONFIG_BEGIN_MASK    24
#define CONFIG_SPIN_PAUSES   56
#define CONFIG_STACKS        80
#define CONFIG_STACK_SIZE    24 /* of a stack_t */
#define CONFIG_CPUS          (CONFIG_STACKS + SYSTRAP_WORKERS_MAX * CONFIG_STACK_SIZE)
#define CONFIG_CPUS_SIZE     (CONFIG_CPUS + 128)

/* struct systrap_control */
#define CONTROL_REPLY         0
#define CONTROL_REPLY_WAITING 4

/*
 * A worker's memory: the signal stack, structs systrap_piece, what calls have brought, the stack for patched calls,
 * struct systrap_worker.
 */
#define WORKER_SIGNAL_STACK 0xc000
#define WORKER_COPY         0xc000
#define WORKER_BROUGHT      0xd100
#define WORKER_BROUGHT_END  0xe200
#define WORKER_STRUCT_SIZE  1024
#define WORKER_SLOT         0

/*
 * The syscall thread's reply is the file offset of the subprocess's file: a
 * value that comes from a register and that no worker's filter lets a guest
 * set. Its bits:
 */
#define REPLY_LEFT_SHIFT     32 /* calls that were not made, the failed one included */
#define REPLY_SEQUENCE_SHIFT 39
#define REPLY_SEQUENCE_MASK  0xffffff

#ifndef __ASSEMBLER__
#include <stdint.h>

#include "protocol.h"
#include "systrap_slot.h" /* the architecture's: how many words, and which register is where */

struct systrap_orders {
    uint32_t request; /* a sequence number; the syscall thread sleeps on it */
    uint32_t count;
    /* Sequence number of the order whose new process the library knows: that may go on. GO_AWAY: none is to. */
    uint32_t go;
    uint32_t pauses; /* that the syscall thread makes after its reply before it sleeps */
    struct stub_call calls[ORDERS_MAX];
};

struct systrap_config {
    uint16_t program_length; /* a struct sock_fprog */
    uint16_t brings;         /* calls may bring something: in the line that each patched call reads */
    uint16_t answers;        /* calls are answered, or were: in the same line */
    uint16_t spinners; /* workers that may spin at once. This and spin_pauses change: core/systrap/spin_grants.h */
    uint64_t program;
    uint64_t signal_mask; /* of a worker while it runs a guest */
    uint64_t begin_mask;  /* of a worker until then; the syscall thread blocks all signals */
    uint64_t region;
    uint64_t slot_size;
    uint32_t fp_offset; /* in a slot */
    uint32_t fp_size;
    uint32_t spin_pauses;   /* how often a worker pauses before it sleeps; 0: at once */
    uint32_t workers_usual; /* as many leave a processor to a thread of the embedder */
    uint64_t fp_features;   /* what the stub saves and loads */
    uint32_t patching;      /* calls may be patched: workers hide where they are in a register */
    uint32_t leave;         /* workers that have no context are to end */
    /* Each worker's signal stack as sigaltstack(2) takes it. */
    struct {
        uint64_t start;
        uint64_t flags;
        uint64_t size;
    } stacks[SYSTRAP_WORKERS_MAX];
    uint64_t cpus[16];     /* where workers run, as sched_setaffinity(2) takes it */
    uint64_t cpus_size;    /* 0: where the syscall thread runs, and the host moves them */
    uint64_t filter[1024]; /* of struct sock_filter */
};

#define ANSWER_CALLS  512 /* TG_ANSWER_CALLS */
#define ANSWER_EVENT  0   /* it is handed over */
#define ANSWER_VALUE  1   /* its own, in values */
#define ANSWER_WORDS  2   /* and above: minus this, which word of the context */
#define CONTEXT_WORDS 8   /* TG_CONTEXT_WORDS */

/* By the call's number. A value is the answer to no other call, so that the two may change one after the other. */
struct systrap_answers {
    uint8_t how[ANSWER_CALLS]; /* ANSWER_* */
    uint64_t values[ANSWER_CALLS];
};

struct systrap_words {
    uint64_t words[CONTEXT_WORDS];
};

#ifndef RING_SMALL
#define RING_SMALL 1024 /* entries; for slots with numbers below that, so that few contexts touch few pages */
#endif
#define RING_LARGE 65536 /* no slot has a number above */
#define RINGS      2

/*
 * A slot is in a ring at most once, so they never overflow. An entry of done is a slot's number plus one, and 0 is
 * none; what one of run is says systrap_run_ring.h.
 */
struct systrap_ring {
    uint32_t head __attribute__((aligned(64))); /* the stub's for run, unused for done */
    uint32_t tail __attribute__((aligned(64))); /* the library's for run, the stub's for done */
};

struct systrap_control {
    uint32_t reply; /* changes after an answer */
    uint32_t reply_waiting;
    uint32_t born; /* number of the process that was made last, as the host wrote it down */
    uint32_t hide; /* workers have a segment base of their own where a guest has none: for patched calls */
    struct systrap_ring run[RINGS];
    struct systrap_ring done[RINGS];
    uint32_t doorbell __attribute__((aligned(64))); /* changes after a push to done when somebody sleeps */
    uint32_t sleepers;
    uint32_t spinning __attribute__((aligned(64))); /* workers that look for work at this moment */
    uint32_t awake __attribute__((aligned(64)));    /* workers that run guests or look for work */
    uint32_t run_small[RING_SMALL] __attribute__((aligned(4096)));
    uint32_t done_small[RING_SMALL];
    uint32_t run_large[RING_LARGE];
    uint32_t done_large[RING_LARGE];
};

#define RARE_STEPPED 1 /* a patched call was single-stepped into */
#define RARE_TIMED   2 /* when the context leaves the guest is noted */

struct systrap_worker {
    uint64_t slot; /* address of the slot that it runs or holds, for patched calls */
    uint32_t wake; /* changes to wake it */
    uint32_t asleep;
    uint32_t index;
    uint32_t running;      /* number of the slot that it runs or holds plus one */
    uint32_t entering;     /* number of the slot that its signal handler is to enter plus one; 0: none */
    uint32_t rare;         /* RARE_*: of the context that it runs; one look, for a patched call cannot afford more */
    uint32_t shares_queue; /* since its last event but one others have left some too, and nobody has woken it since */
    uint32_t next_done[RINGS]; /* where its next event is in the done rings if nobody else leaves one */
    uint32_t futile;           /* its waits in a row for which spinning was too short, or was not tried */
    /* Statistics: for whoever wants to believe them. */
    uint64_t spins;
    uint64_t sleeps;
    uint64_t answered;
};

#define COPY_MAX    4096 /* bytes, of all pieces */
#define COPY_PIECES 8
#define COPY_READ   1 /* of the guest's memory */
#define COPY_WRITE  2
#define COPY_STRING 3 /* reads up to the 0 byte, at most length */

/*
 * What the library wants a worker to copy that holds a context in a patched
 * call, or to write with the answer to that: pieces, each behind the one before.
 */
struct systrap_piece {
    uint64_t addr;
    uint16_t length;
    uint16_t left; /* the worker's answer: bytes that were not copied. Before that what it is without one */
    uint8_t kind;  /* COPY_* */
    uint8_t more;  /* another piece follows */
    uint16_t pad;
    uint8_t bytes[];
};

#define PIECE_ALIGNMENT 8

/* Of one whose length is known. */
static inline struct systrap_piece *systrap_piece_behind(struct systrap_piece *piece, uint64_t length)
{
    return (struct systrap_piece *)(piece->bytes + ((length + PIECE_ALIGNMENT - 1) & ~(uint64_t)(PIECE_ALIGNMENT - 1)));
}

/* What a call brings along: by its number; kind 0: nothing. Where each piece lies from WORKER_BROUGHT on is at. */
#define BRING_NUMBERS 512
#define BRING_PIECES  2
#define BRING_BYTES   1 /* max bytes at argument arg */
#define BRING_COUNTED 2 /* as many as argument length_arg says, at most max */
#define BRING_STRING  3 /* up to the 0 byte, at most max */

struct systrap_bring {
    uint8_t kind;
    uint8_t arg;
    uint8_t length_arg;
    uint8_t pad;
    uint16_t max;
    uint16_t at;
};

/*
 * Who has a slot, and what is in it:
 *   FREE      the library
 *   READY     any worker may take it out of the run ring
 *   RUNNING   a worker runs it, or the one that held it is about to
 *   HELD      an event is in it; the worker keeps the FP state
 *   ASLEEP    the same, and the worker must be woken to go on
 *   EVENT     an event is in it, and all of the context's state
 *   RESUMED   the worker that held it and slept is to run it
 *   COPY      as HELD, and the worker is to copy guest memory
 *   COPYING   it does, and it is HELD again afterwards
 *   ATTACHED  as RUNNING, but first the worker that held it writes what is attached to the answer
 *   DROP      the worker that holds it is to save the FP state and forget it
 *   GONE      the stub is dead
 */
enum systrap_state {
    SLOT_FREE,
    SLOT_READY,
    SLOT_RUNNING,
    SLOT_HELD,
    SLOT_ASLEEP,
    SLOT_EVENT,
    SLOT_DROP,
    SLOT_RESUMED,
    SLOT_GONE,
    SLOT_COPY,
    SLOT_COPYING,
    SLOT_ATTACHED,
};

/* slot.signal, besides the numbers of signals */
#define ANSWER_UNWRITTEN 0x40 /* no event: the worker could not write all that is attached to the answer */
#define PATCHED_CALL     0x80 /* a system call through a patched site */
#define PATCHED_BROUGHT  0x40 /* besides it: the worker has what it brings */
#define PATCHED_WORKER   0x3f /* besides it: the worker's number */

/* slot.waiting */
#define WAITS_LOOKING  0 /* it looks at state, or at the done ring if the slot is queued */
#define WAITS_ON_STATE 1 /* it sleeps on state */
#define WAITS_ON_RING  2 /* it is to find the slot in the done ring, though that is not queued */

#define FIRST_LOAD_FP 1 /* the FP state in the slot is newer than the worker's */
#define FIRST_TIME    2 /* note when it goes on, and then when it leaves an event */

struct systrap_slot {
    /*
     * One cache line with all that a patched call needs: it is the only one
     * that goes back and forth while nobody asks for other registers.
     */
    uint32_t state;
    uint8_t waiting;                         /* WAITS_*: how the library waits for an event */
    uint8_t signal;                          /* its number, PATCHED_* or ANSWER_UNWRITTEN */
    uint16_t site;                           /* of a patched call: its trampoline's number */
    uint64_t call_regs[SYSTRAP_CALL_REGS];   /* those that a system call needs */
    uint64_t other_regs[SYSTRAP_OTHER_REGS]; /* all others, and what else the architecture keeps */
    uint32_t kick;                           /* leave the guest: there is an interrupt, or others wait */
    uint32_t queued;                         /* its event goes to the done ring */
    uint32_t first;                          /* FIRST_*: what a worker does before it runs the context */
    int32_t error_number;                    /* siginfo */
    /* What an unpatched call needs besides the first line begins here, in a line of its own. */
    int32_t code;
    uint32_t syscall_arch;
    uint64_t addr; /* si_addr or si_call_addr */
    int32_t syscall;
    uint32_t trap_number; /* of an exception, and its error code, as the kernel gave them */
    uint64_t trap_error;
    uint64_t resume; /* a patched call may go on there, with nothing but the registers in here; 0: it may not */
    uint64_t stack;  /* of the worker that runs it, for patched calls */
    uint32_t worker; /* that runs it or did last */
    uint32_t number; /* its own */
    uint32_t fp_at;  /* where in the region the FP state of a HELD context is; 0: in its worker's registers */
    /* Statistics, after FIRST_TIME: in the processor's ticks. */
    uint64_t taken_at; /* a worker went on with the context */
    uint64_t left_at;  /* it left an event */
};
#endif

#endif
