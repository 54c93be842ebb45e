/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "native.h"

#include <string.h>
#include <ucontext.h>

#define INT3 0xcc

uint64_t native_ip(const void *ucontext)
{
    return (uint64_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
}

void native_exception(const void *ucontext, struct native_signal *seen)
{
    const ucontext_t *context = ucontext;

    seen->trap = (uint64_t)context->uc_mcontext.gregs[REG_TRAPNO];
    seen->error_code = (uint64_t)context->uc_mcontext.gregs[REG_ERR];
}

/* The alignment check flag stays set in handlers. */
void native_settle(void)
{
    __asm__ volatile("pushf\n\t"
                     "andl $~0x40000, (%%rsp)\n\t"
                     "popf" ::
                         : "memory", "cc");
}

void native_enter(void *code, void *data, void *stack_top)
{
    __asm__ volatile("mov %[stack], %%rsp\n\t"
                     "jmp *%[code]"
                     :
                     : [code] "r"(code), [stack] "r"(stack_top), "D"(data)
                     : "memory");
    __builtin_unreachable();
}

void native_fill_traps(void *memory, uint64_t length)
{
    memset(memory, INT3, length);
}
