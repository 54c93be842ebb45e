/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.h"

/* splitmix64: any seed does, and neighbours have nothing in common. */
uint64_t dice_throw(struct dice *dice)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct dice dice_make(uint64_t seed)
{
    struct dice dice = {.state = seed};

    dice_throw(&dice);
    return dice;
}
