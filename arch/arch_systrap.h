/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the systrap backend needs of a processor. A slot is memory that a guest can write: each word is read once. */
#ifndef ARCH_ARCH_SYSTRAP_H
#define ARCH_ARCH_SYSTRAP_H

#include <sys/types.h>

#include "arch/arch_cpu.h"

struct systrap_slot;

/* What a worker said of its signal: copied out of its slot once, for a guest's other threads can write there. */
struct arch_signal {
    int32_t code;
    int32_t error_number;
    uint64_t addr;
    int64_t syscall;
    uint32_t syscall_arch;
    uint32_t number; /* of the exception */
    uint64_t error_code;
};

struct arch_systrap {
    const uint8_t *blob; /* the stub */
    const uint8_t *blob_end;
    /* The jump from C into it, in assembly: nothing of the C side may be needed any more. */
    __attribute__((noreturn)) void (*enter)(uint64_t region, int file, pid_t embedder);
    uint64_t handler_offset; /* in the blob */
    uint64_t restorer_offset;
    uint64_t capabilities; /* TG_CAP_*, besides those of the processor */

    /* In a loop that waits, between two looks: long, and short, for an answer that is almost there. */
    void (*pause)(void);
    void (*between_looks)(void);
    /* The caller will write there soon, and another processor has written or read it last. */
    void (*fetch_to_write)(void *place, size_t length);
    /* A clock that a stub can read as well, without a call: it counts evenly, and on all processors the same. */
    uint64_t (*ticks)(void);
    /* A sentence about what this machine lacks, NULL: nothing. */
    const char *(*missing)(void);
    /* Fills an image as the kernel would; its size, 0: more than capacity. */
    size_t (*fp_learn)(void *image, size_t capacity, uint64_t *features);
    /*
     * Fetches an image of that size from the FP state of a signal frame, behind which there is so much room in all; a
     * guest may have written it. False: there is none.
     */
    bool (*fp_from_frame)(void *image, size_t size, const uint8_t *frame_fp, size_t room);
    /* Makes an image that a guest may have spoilt one that fp_check() accepts. */
    void (*fp_repair)(void *image, const void *initial, size_t size);
    void (*read_regs)(const struct systrap_slot *slot, tg_regs *regs);
    void (*write_regs)(struct systrap_slot *slot, const tg_regs *regs);
    void (*set_return)(struct systrap_slot *slot, int64_t value);
    /* False: the SIGSYS stands for something else. */
    bool (*read_syscall)(const struct systrap_slot *slot, const struct arch_signal *details, struct arch_syscall *out);
    /* TG_ACCESS_* of a page fault by its error code; 0: it was none. */
    uint32_t (*error_access)(const struct arch_signal *details);
};

/* NULL: the backend is not ported to this processor. */
extern const struct arch_systrap *const tgi_arch_systrap;

#endif
