/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "native.h"

#include <string.h>
#include <ucontext.h>

#define BRK 0xd4200000u

uint64_t native_ip(const void *ucontext)
{
    return ((const ucontext_t *)ucontext)->uc_mcontext.pc;
}

/* It gives exceptions no numbers. */
void native_exception(const void *ucontext, struct native_signal *seen)
{
    (void)ucontext;
    seen->trap = 0;
    seen->error_code = 0;
}

void native_settle(void)
{
}

void native_enter(void *code, void *data, void *stack_top)
{
    register void *argument __asm__("x0") = data;

    __asm__ volatile("mov sp, %[stack]\n\t"
                     "br %[code]"
                     :
                     : [code] "r"(code), [stack] "r"(stack_top), "r"(argument)
                     : "memory");
    __builtin_unreachable();
}

void native_fill_traps(void *memory, uint64_t length)
{
    const uint32_t trap = BRK;

    for (uint64_t at = 0; at + sizeof(trap) <= length; at += sizeof(trap))
        memcpy((char *)memory + at, &trap, sizeof(trap));
}
