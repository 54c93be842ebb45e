/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <linux/seccomp.h>
#include <stddef.h>

#include "core/filter_origin.h"

/*
 * A call's instruction pointer lies behind its instruction. One that ends at
 * text_start, or at the byte behind it, began before the text, where a guest
 * may have memory. No processor's instruction is shorter than this.
 */
#define SHORTEST_CALL_INSTRUCTION 2

/* Filters load 32 bits at a time. */
#define LOW_HALF   ((uint32_t)offsetof(struct seccomp_data, instruction_pointer))
#define UPPER_HALF (LOW_HALF + 4)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of a 64-bit word comes first");

/* Jump targets count from the next instruction. */
void filter_origin(uint64_t text_start, uint64_t text_end, uint32_t elsewhere,
                   struct sock_filter prefix[FILTER_ORIGIN_LENGTH])
{
    const uint64_t first = text_start + SHORTEST_CALL_INSTRUCTION;
    const struct sock_filter instructions[FILTER_ORIGIN_LENGTH] = {
        /* 0: another upper half: to 5 */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UPPER_HALF),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(first >> 32), 0, 3),
        /* 2: not behind a whole instruction of the text: to 5 */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_HALF),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)first, 0, 1),
        /* 4: behind the text: to 5; else stub code made the call: to what follows, at 6 */
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)text_end, 0, 1),
        /* 5 */
        BPF_STMT(BPF_RET | BPF_K, elsewhere),
    };

    for (size_t i = 0; i < FILTER_ORIGIN_LENGTH; i++)
        prefix[i] = instructions[i];
}
