/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Execution: small pieces of code in a page that may be written and run. */
#ifndef TESTS_UNIT_X86_64_PATCH_SITE_RUN_H
#define TESTS_UNIT_X86_64_PATCH_SITE_RUN_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096

/* Where on_trap goes to, with the signal, and what it leaves. */
extern sigjmp_buf trapped;
extern volatile uintptr_t trap_ip;
extern volatile bool trap_in_first_page;

void on_trap(int sig, siginfo_t *info, void *context);
/* For the signals that code can raise; NULL: as it was. */
void handle_traps(void (*handler)(int, siginfo_t *, void *));

/* Two pages. */
uint8_t *code_page(void);
/* The signal that arriving at code[offset] raises there, 0 if it gets further. */
int trap_at(const uint8_t *code, size_t length, size_t offset);
bool traps(const uint8_t *code, size_t length, size_t offset);
/* valgrind executes neither `in` nor invalid instructions as the processor does. */
bool under_valgrind(void);

struct machine {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

/* Loads the registers and jumps; the code ends by a jump to run_exit, which stores them in run_result. */
void run_code(const struct machine *in, const void *code);
extern const uint8_t run_exit[];
extern struct machine run_result;

/* The stub's common entry with a host kernel behind it, and what it was entered with. */
extern const uint8_t fake_entry[];
extern uint64_t entry_rcx;

/* The call of a thread that trapped, and where that goes on. */
extern const uint8_t bare_syscall[];
extern uint64_t bare_resume;

#endif
