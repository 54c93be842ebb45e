/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A filter that ends threads of stubs alone. One that looks at the call's
 * number only would end threads of this program as well, for which the library
 * could do nothing.
 */
#include "hosts.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "check.h"
#include "guest.h"

#define CODE_RANGES  16
#define RANGE_LENGTH 6
#define LOWEST_STUB  0x700000000000 /* their place is random, near the end of user space */

struct code_range {
    unsigned long start;
    unsigned long end;
};

/* Where code of this program is now, from /proc/self/maps: that of stubs is elsewhere. */
static size_t find_code(struct code_range ranges[CODE_RANGES])
{
    char line[512];
    char executable;
    FILE *maps = fopen("/proc/self/maps", "re");
    size_t n = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps) && n < CODE_RANGES)
        if (sscanf(line, "%lx-%lx %*c%*c%c", &ranges[n].start, &ranges[n].end, &executable) == 3 && executable == 'x' &&
            ranges[n].start >> 32 == ranges[n].end >> 32)
            n++;
    fclose(maps);
    return n;
}

/* The filter lets pass what is made in that range. */
static void let_pass(const struct code_range *range, struct sock_filter instructions[RANGE_LENGTH])
{
    const uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    const struct sock_filter these[RANGE_LENGTH] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(range->start >> 32), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)range->start, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)range->end, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    memcpy(instructions, these, sizeof(these));
}

void end_threads_of_stubs(const struct environment *environment, long value)
{
    const struct sock_filter head[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)value, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        /* Guests are far below. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LOWEST_STUB >> 32, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter instructions[ARRAY_SIZE(head) + CODE_RANGES * RANGE_LENGTH + 1];
    struct sock_fprog program = {.filter = instructions};
    struct code_range ranges[CODE_RANGES];
    size_t n = find_code(ranges);
    size_t length = ARRAY_SIZE(head);

    (void)environment;
    memcpy(instructions, head, sizeof(head));
    for (size_t i = 0; i < n; i++, length += RANGE_LENGTH)
        let_pass(&ranges[i], &instructions[length]);
    instructions[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
    program.len = (unsigned short)length;
    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}
