/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* No thread can step itself here: what sets the stepping bit is the kernel, for a debugger. */
#include "delay.h"

#include "check.h"

void delay_prepare(void)
{
    SKIP("a thread of this processor cannot step itself");
}

void delay_begin(struct delay *delay)
{
    (void)delay;
}

void delay_end(struct delay *delay)
{
    (void)delay;
}

bool delay_is_held(struct delay *delay)
{
    (void)delay;
    return false;
}

void delay_over(struct delay *delay)
{
    (void)delay;
}
