/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a copy of the embedder does on its way to being a stub process. Apart
 * from stub_process_random() these run in the new process: no locks, no
 * allocation, nothing but system calls; not the C library's functions either
 * where sanitizers have their own, which would wait for locks that nobody in
 * the new process holds. All that return something return 0 or -errno.
 */
#ifndef CORE_STUB_PROCESS_H
#define CORE_STUB_PROCESS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define STUB_SIGNAL_BIT(number) (1ull << ((number)-1))

/* What a processor raises for a guest. */
#define STUB_SIGNALS_OF_GUESTS                                                                                         \
    (STUB_SIGNAL_BIT(SIGSEGV) | STUB_SIGNAL_BIT(SIGBUS) | STUB_SIGNAL_BIT(SIGILL) | STUB_SIGNAL_BIT(SIGFPE) |          \
     STUB_SIGNAL_BIT(SIGTRAP) | STUB_SIGNAL_BIT(SIGSYS))

/* Default actions for all, and every signal blocked: one that somebody sends by mistake would end the process. */
int stub_process_reset_signals(void);

/* Guests run as any program does, and never before others: no real time, which the embedder may have. */
int stub_process_reset_scheduling(void);
/* What may be read is not therefore executable. */
int stub_process_reset_personality(void);
/* None is needed. Where the host forbids that they stay, as harmless as they are to one that makes no calls. */
void stub_process_drop_capabilities(void);

/*
 * The kernel would go on writing to the registered area, which is about to be
 * unmapped and may then be a guest's. -EBUSY: another library than glibc has
 * registered one for this thread.
 */
int stub_process_unregister_rseq(void);

/* As mmap(2), at that address; -EEXIST: it gave another one. */
int stub_process_map(uint64_t addr, uint64_t length, uint64_t protection, uint64_t flags, int64_t file,
                     uint64_t offset);
int stub_process_protect(uint64_t start, uint64_t end, uint64_t protection);
/* From here on nobody changes or unmaps these pages, here and in copies: mseal(2), where the kernel has it. */
void stub_process_seal(uint64_t start, uint64_t end);
void stub_process_copy(uint64_t to, const uint8_t *from, const uint8_t *from_end);

int stub_process_random(void *out, size_t size);

#endif
