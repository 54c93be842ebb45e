/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../guest_registers.h"

void guest_registers_set_argument(tg_regs *registers, uint64_t argument)
{
    registers->rdi = argument;
}
