/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_site_run.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "patch_site_code.h"

sigjmp_buf trapped;
volatile uintptr_t trap_ip;
volatile bool trap_in_first_page;

void on_trap(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    trap_in_first_page = sig == SIGSEGV && info->si_code == SEGV_MAPERR && (uintptr_t)info->si_addr < PAGE;
    trap_ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    siglongjmp(trapped, sig);
}

void handle_traps(void (*handler)(int, siginfo_t *, void *))
{
    static const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
    static uint8_t stack[64 * 1024];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (handler)
        action.sa_sigaction = handler;
    else
        action.sa_handler = SIG_DFL;
    assert_int_equal(sigaltstack(&alternate, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        assert_int_equal(sigaction(signals[i], &action, NULL), 0);
}

uint8_t *code_page(void)
{
    static uint8_t *page;
    if (!page) {
        page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(page, MAP_FAILED);
    }
    return page;
}

static void call(const uint8_t *code)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "call *%0\n\t"
                     "lea 128(%%rsp), %%rsp"
                     :
                     : "r"(code)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

int trap_at(const uint8_t *code, size_t length, size_t offset)
{
    uint8_t *page = code_page();
    int sig;
    memset(page, 0xcc, 2 * PAGE);
    memcpy(page + PAGE, code, length);
    handle_traps(on_trap);
    sig = sigsetjmp(trapped, 1);
    if (!sig)
        call(page + PAGE + offset);
    handle_traps(NULL);
    return sig && trap_ip == (uintptr_t)(page + PAGE + offset) ? sig : 0;
}

bool traps(const uint8_t *code, size_t length, size_t offset)
{
    const int sig = trap_at(code, length, offset);
    return sig == SIGILL || sig == SIGSEGV;
}

bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

__asm__("    .pushsection .bss\n"
        "    .balign 8\n"
        "    .globl run_result, entry_rcx, bare_resume\n"
        "run_result:  .zero 17 * 8\n"
        "entry_rcx:   .zero 8\n"
        "bare_resume: .zero 8\n"
        "run_target:  .zero 8\n"
        "run_stack:   .zero 8\n"
        "    .popsection\n"
        "    .pushsection .text\n"
        "    .globl run_code, run_exit, fake_entry, bare_syscall\n"
        "run_code:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsi, run_target(%rip)\n"
        "    mov %rsp, run_stack(%rip)\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    mov (%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx\n"
        "    mov 32(%rdi), %rsi; mov 48(%rdi), %rbp; mov 64(%rdi), %r8; mov 72(%rdi), %r9\n"
        "    mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12; mov 104(%rdi), %r13\n"
        "    mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 40(%rdi), %rdi\n"
        "    jmp *run_target(%rip)\n"
        "run_exit:\n"
        "    mov %rax, run_result(%rip)\n"
        "    mov %rbx, run_result+8(%rip)\n"
        "    mov %rcx, run_result+16(%rip)\n"
        "    mov %rdx, run_result+24(%rip)\n"
        "    mov %rsi, run_result+32(%rip)\n"
        "    mov %rdi, run_result+40(%rip)\n"
        "    mov %rbp, run_result+48(%rip)\n"
        "    mov %rsp, run_result+56(%rip)\n"
        "    mov %r8, run_result+64(%rip)\n"
        "    mov %r9, run_result+72(%rip)\n"
        "    mov %r10, run_result+80(%rip)\n"
        "    mov %r11, run_result+88(%rip)\n"
        "    mov %r12, run_result+96(%rip)\n"
        "    mov %r13, run_result+104(%rip)\n"
        "    mov %r14, run_result+112(%rip)\n"
        "    mov %r15, run_result+120(%rip)\n"
        "    mov run_stack(%rip), %rsp\n"
        "    pushfq\n"
        "    popq run_result+128(%rip)\n"
        "    cld\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n"
        "fake_entry:\n"
        "    mov %rcx, entry_rcx(%rip)\n"
        "    syscall\n"
        "    mov entry_rcx(%rip), %rcx\n"
        "    jmp *%rcx\n"
        "bare_syscall:\n"
        "    syscall\n"
        "    jmp *bare_resume(%rip)\n"
        "    .popsection\n");
