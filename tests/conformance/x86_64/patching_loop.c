/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patching.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

/* What PATTERN of patching.S inverts. */
static const size_t inverted[] = {
    offsetof(tg_regs, rdx), offsetof(tg_regs, rsi), offsetof(tg_regs, rdi), offsetof(tg_regs, rbp),
    offsetof(tg_regs, rsp), offsetof(tg_regs, r8),  offsetof(tg_regs, r9),  offsetof(tg_regs, r10),
    offsetof(tg_regs, r12), offsetof(tg_regs, r14),
};

const struct pattern patched_patterns[PATCHED_PATTERNS] = {
    PATTERN(mov_eax, .taken = BEFORE),
    PATTERN(mov_rax, .taken = BEFORE),
    PATTERN(movabs, .taken = BEFORE),
    PATTERN(mov_return, .taken = BEFORE),
    PATTERN(libc_inline, .taken = BEHIND),
    PATTERN(libc_wrapper, .taken = BEHIND),
    PATTERN(go_wrapper, .taken = BEHIND),
    PATTERN(two_shorts, .taken = BEHIND, .inner = 3, .inner_by = 0),
    PATTERN(nops_behind, .taken = BEHIND, .inner = 3, .inner_by = 1),
    PATTERN(long_lea, .taken = BEHIND),
    PATTERN(to_scratch, .taken = BEHIND),
};

const struct pattern *find_pattern(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        if (strcmp(patched_patterns[i].name, name) == 0)
            return &patched_patterns[i];
    }
    check_failed(CHECK_HERE, "no pattern %s", name);
}

uint64_t number_of(const struct pattern *pattern)
{
    return pattern->number ? pattern->number : GUEST_CALL;
}

bool can_patch(const struct guest *guest)
{
    return platform_info(guest->platform).capabilities & TG_CAP_PATCHING;
}

uint64_t place(const struct loop *loop, const unsigned char *label)
{
    return loop->at + (uint64_t)(label - loop->pattern->code.start);
}

uint64_t word_of(const tg_regs *regs, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)regs + offset);
}

void loop_start(struct loop *loop, uint64_t seed)
{
    tg_regs *regs;
    size_t i;

    CHECK_OK(tg_context_start(loop->guest.context, loop->at, GUEST_STACK_TOP));
    arch_fill_registers(loop->guest.context, seed);
    regs = tg_context_regs_mut(loop->guest.context);
    regs->rbx = number_of(loop->pattern);
    regs->r13 = place(loop, loop->pattern->start);
    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        loop->words[i] = word_of(regs, inverted[i]);
    loop->r15 = regs->r15;
    loop->stopped = false;
    loop->calls = 0;
}

void loop_open(struct loop *loop, uint32_t backend, uint64_t flags, const struct pattern *pattern)
{
    memset(loop, 0, sizeof(*loop));
    guest_open_flags(&loop->guest, backend, flags, pattern->code);
    loop->pattern = pattern;
    loop->at = GUEST_CODE_AT;
    loop_start(loop, 1);
}

void loop_close(struct loop *loop)
{
    guest_close(&loop->guest);
}

static void invert_words(struct loop *loop)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        loop->words[i] = ~loop->words[i];
}

static void check_loop_registers(const struct loop *loop, uint64_t number)
{
    const tg_regs *regs = tg_context_regs(loop->guest.context);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        CHECK_EQ(word_of(regs, inverted[i]), loop->words[i]);
    CHECK_EQ(regs->rax, number);
    CHECK_EQ(regs->rbx, number_of(loop->pattern));
    CHECK_EQ(regs->r13, place(loop, loop->pattern->start));
    CHECK_EQ(regs->r15, loop->r15);
    CHECK_EQ(regs->rip, place(loop, loop->pattern->behind));
    CHECK_EQ(regs->gs_base, 0);
}

void check_loop_call(struct loop *loop, uint64_t number)
{
    static const size_t arguments[] = {offsetof(tg_regs, rdi), offsetof(tg_regs, rsi), offsetof(tg_regs, rdx),
                                       offsetof(tg_regs, r10), offsetof(tg_regs, r8),  offsetof(tg_regs, r9)};
    const tg_event *event = &loop->guest.event;
    size_t i;

    CHECK_CALL(event, number);
    CHECK_EQ(event->u.syscall.ip, place(loop, loop->pattern->behind));
    for (i = 0; i < ARRAY_SIZE(arguments); i++)
        CHECK_EQ(event->u.syscall.args[i], word_of(tg_context_regs(loop->guest.context), arguments[i]));
    check_loop_registers(loop, number);
    loop->stopped = true;
    loop->calls++;
}

void loop_expect(struct loop *loop)
{
    if (loop->stopped && loop->pattern->moved) {
        arch_set_ip(loop->guest.context, place(loop, loop->pattern->start));
        return;
    }
    if (loop->stopped)
        loop->r15++;
    invert_words(loop);
}

void loop_answer(struct loop *loop)
{
    static const int64_t results[] = {0, 7, -EINVAL, -4095, -4096, INT64_MIN, INT64_MAX};

    check_loop_call(loop, number_of(loop->pattern));
    CHECK_OK(tg_context_set_return(loop->guest.context, results[loop->calls % ARRAY_SIZE(results)]));
}

void loop_call(struct loop *loop)
{
    loop_expect(loop);
    guest_run(&loop->guest);
    loop_answer(loop);
}

void loop_calls(struct loop *loop, unsigned int calls)
{
    while (calls-- > 0)
        loop_call(loop);
}

/* What the embedder reads is what the guest wrote, whatever is there. */
bool bytes_are_original(const struct guest *guest, uint64_t at, struct guest_code code)
{
    unsigned char now[256];
    const size_t length = (size_t)(code.end - code.start);
    const struct iovec local = {.iov_base = now, .iov_len = length};
    const struct iovec remote = {.iov_base = (void *)(uintptr_t)at, .iov_len = length};

    CHECK(length <= sizeof(now));
    CHECK_OK(tg_subprocess_read(guest->subprocess, at, now, length, NULL));
    CHECK_BYTES(now, code.start, length);
    CHECK_EQ(CHECK_SYSTEM(process_vm_readv(tg_subprocess_pid(guest->subprocess), &local, 1, &remote, 1, 0)), length);
    return memcmp(now, code.start, length) == 0;
}

bool code_is_original(const struct loop *loop)
{
    return bytes_are_original(&loop->guest, loop->at, loop->pattern->code);
}

bool last_was_patched(const struct loop *loop)
{
    return loop->guest.event.flags & TG_FLAG_PATCHED;
}

void loop_warm(struct loop *loop)
{
    bool expected = can_patch(&loop->guest) && loop->pattern->taken != LEFT_ALONE;

    loop_calls(loop, WARM_CALLS);
    CHECK_EQ(last_was_patched(loop), expected);
    CHECK_EQ(code_is_original(loop), !expected);
}

void check_sites(const struct guest *guest, uint64_t before, uint64_t behind)
{
    tg_stats stats = platform_stats(guest->platform);

    CHECK_EQ(stats.patch_sites_before, before);
    CHECK_EQ(stats.patch_sites_after, behind);
    CHECK_EQ(stats.patch_sites, before + behind);
}

uint64_t refusals(const struct guest *guest)
{
    tg_stats stats = platform_stats(guest->platform);
    uint64_t all = 0;
    unsigned int i;

    for (i = 0; i < TG_PATCH_REFUSALS; i++)
        all += stats.patch_refusals[i];
    return all;
}

void check_refused(const struct guest *guest, uint32_t reason)
{
    if (!can_patch(guest))
        return;
    CHECK_EQ(platform_stats(guest->platform).patch_refusals[reason], 1);
    CHECK_EQ(refusals(guest), 1);
    check_sites(guest, 0, 0);
}

/* The guest goes on at this place instead of the start, once. */
static void jump_once(struct loop *loop, uint64_t to)
{
    tg_context_regs_mut(loop->guest.context)->r13 = to;
}

void loop_jump_to_call(struct loop *loop, uint64_t number)
{
    CHECK_OK(tg_context_set_return(loop->guest.context, (int64_t)number));
    jump_once(loop, place(loop, loop->pattern->call));
    loop->r15++;
    invert_words(loop);
    guest_run(&loop->guest);
    check_loop_call(loop, number);
}

void loop_jump_behind(struct loop *loop, uint64_t offset, uint64_t adds)
{
    jump_once(loop, place(loop, loop->pattern->behind) + offset);
    loop->r15 += 1 + adds;
    guest_run(&loop->guest);
    check_loop_call(loop, number_of(loop->pattern));
}

uint64_t page_down(const struct guest *guest, uint64_t addr)
{
    return addr & ~(guest->page - 1);
}

void put_code(const struct guest *guest, uint64_t addr, struct guest_code code, uint32_t prot)
{
    size_t length = (size_t)(code.end - code.start);
    uint64_t first = page_down(guest, addr);
    uint64_t last = page_down(guest, addr + length - 1);

    map_pages(guest->subprocess, first, last - first + guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, addr, code.start, length, NULL));
    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, last - first + guest->page, prot));
}

void protect_page(const struct guest *guest, uint64_t addr, uint32_t prot)
{
    CHECK_OK(tg_subprocess_protect(guest->subprocess, page_down(guest, addr), guest->page, prot));
}

void check_site_is_whole(struct loop *loop)
{
    loop_call(loop);
    loop_jump_to_call(loop, 1234);
    loop_jump_behind(loop, 0, 1);
    loop_call(loop);
    protect_page(&loop->guest, loop->at, PROT_RW);
    CHECK(code_is_original(loop));
    protect_page(&loop->guest, loop->at, PROT_RX);
    loop_warm(loop);
}
