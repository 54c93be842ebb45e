/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The access of a fault, right on the first fault: what depends on the machine,
 * or on where code is. The rest is rows.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "updates.h"

#define TARGET_PAGE 0x40010000ull
/* Aligned for every form, and far from the edges of its page. */
#define TARGET      (TARGET_PAGE + 0x240)

/* Instructions of guests/x86_64/access.S that read and write, with what the processor needs. */
#define UPDATE_FORMS(X)                                                                                                \
    X(add_to, CPU_ALWAYS)                                                                                              \
    X(or_to, CPU_ALWAYS)                                                                                               \
    X(increment, CPU_ALWAYS)                                                                                           \
    X(increment_lock, CPU_ALWAYS)                                                                                      \
    X(negate, CPU_ALWAYS)                                                                                              \
    X(shift, CPU_ALWAYS)                                                                                               \
    X(shift_double, CPU_ALWAYS)                                                                                        \
    X(bit_set, CPU_ALWAYS)                                                                                             \
    X(bit_reset_lock, CPU_ALWAYS)                                                                                      \
    X(exchange, CPU_ALWAYS)                                                                                            \
    X(exchange_add, CPU_ALWAYS)                                                                                        \
    X(compare_swap, CPU_ALWAYS)                                                                                        \
    X(compare_swap_no, CPU_ALWAYS)                                                                                     \
    X(compare_swap_16, CPU_CX16)

struct form {
    const char *name;
    struct guest_code code;
    const unsigned char *at;
    enum cpu_feature feature;
};

#define DECLARE_FORM(name, feature)                                                                                    \
    extern const unsigned char guest_##name[], guest_##name##_at[], guest_##name##_end[];
#define FORM_ENTRY(name, feature) {#name, GUEST_INIT(name), guest_##name##_at, feature},

UPDATE_FORMS(DECLARE_FORM)

static const struct form update_forms[] = {UPDATE_FORMS(FORM_ENTRY)};

static void enter_form(struct guest *guest)
{
    tg_regs *regs;

    guest_restart(guest);
    regs = tg_context_regs_mut(guest->context);
    CHECK(regs != NULL);
    regs->rdi = TARGET;
    regs->rsi = GUEST_DATA_AT;
    regs->rcx = 1;
    guest_run(guest);
}

static void check_form_fault(const struct guest *guest, const struct form *form, int code)
{
    const tg_event *event = &guest->event;

    CHECK_FAULT(event, TARGET, TG_ACCESS_WRITE, SIGSEGV, code);
    CHECK_EQ(event->u.fault.ip, GUEST_CODE_AT + (uint64_t)(form->at - form->code.start));
}

static void check_form(struct guest *guest, const struct form *form)
{
    load_code(guest->subprocess, GUEST_CODE_AT, form->code);
    map_pages(guest->subprocess, GUEST_DATA_AT, guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_unmap(guest->subprocess, TARGET_PAGE, guest->page));
    check_context("%s, nothing mapped", form->name);
    enter_form(guest);
    check_form_fault(guest, form, SEGV_MAPERR);

    map_pages(guest->subprocess, TARGET_PAGE, guest->page, TG_PROT_NONE);
    check_context("%s, no rights", form->name);
    enter_form(guest);
    check_form_fault(guest, form, SEGV_ACCERR);

    CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, TG_PROT_READ));
    check_context("%s, read-only", form->name);
    enter_form(guest);
    check_form_fault(guest, form, SEGV_ACCERR);

    CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, PROT_RW));
    check_context("%s, served", form->name);
    GUEST_RUN_TO_CALL(guest);
}

static void check_forms(uint32_t backend, const struct form *forms, size_t count)
{
    struct guest guest;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    if (!(platform_info(guest.platform).capabilities & TG_CAP_ACCESS_EXACT))
        SKIP("this backend does not name the access exactly");
    for (i = 0; i < count; i++) {
        if (cpu_has(forms[i].feature))
            check_form(&guest, &forms[i]);
        else
            printf("%s: not on this processor\n", forms[i].name);
    }
    guest_close(&guest);
}

static sigjmp_buf after_fault;
static volatile bool fault_wrote;

static void note_access(int signo, siginfo_t *info, void *frame)
{
    (void)signo;
    (void)info;
    fault_wrote = ((const ucontext_t *)frame)->uc_mcontext.gregs[REG_ERR] & 2;
    siglongjmp(after_fault, 1);
}

/* Does the error code say write when an update meets no page? Processors do; an emulator may load first. */
static bool updates_count_as_writes(void)
{
    struct sigaction action = {.sa_sigaction = note_access, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    int *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(nothing != MAP_FAILED);
    CHECK_SYSTEM(munmap(nothing, 4096));
    CHECK_SYSTEM(sigaction(SIGSEGV, &action, &before));
    if (!sigsetjmp(after_fault, 1))
        __asm__ volatile("addl $1, (%0)" : : "r"(nothing) : "memory");
    CHECK_SYSTEM(sigaction(SIGSEGV, &before, NULL));
    return fault_wrote;
}

void need_updates_that_write(uint32_t backend)
{
    /* ptrace has no error code and looks at the instruction. */
    if (backend != TG_BACKEND_PTRACE && !updates_count_as_writes())
        SKIP("this machine calls the first fault of an update a read, also natively");
}

static void updates(uint32_t backend)
{
    need_updates_that_write(backend);
    check_forms(backend, update_forms, ARRAY_SIZE(update_forms));
}

/* Places code so that its first instruction has so many bytes on the first page, and nothing behind it. */
static void place_across(struct guest *guest, struct guest_code code, uint64_t first_bytes)
{
    uint64_t edge = TARGET_PAGE + guest->page;

    map_pages(guest->subprocess, TARGET_PAGE, guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, edge - first_bytes, code.start, first_bytes, NULL));
    CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, PROT_RX));
    CHECK_OK(tg_subprocess_unmap(guest->subprocess, edge, guest->page));
}

static void check_fetch_across(struct guest *guest, struct guest_code code, uint64_t first_bytes)
{
    uint64_t edge = TARGET_PAGE + guest->page;
    uint64_t rest = (uint64_t)(code.end - code.start) - first_bytes;

    check_context("%u bytes before the edge", (unsigned int)first_bytes);
    place_across(guest, code, first_bytes);
    guest_restart(guest);
    arch_set_ip(guest->context, edge - first_bytes);
    guest_run(guest);
    CHECK_FAULT(&guest->event, edge, TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest->event.u.fault.ip, edge - first_bytes);
    map_pages(guest->subprocess, edge, guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, edge, code.start + first_bytes, rest, NULL));
    guest_run(guest);
    CHECK_FAULT(&guest->event, edge, TG_ACCESS_EXEC, SIGSEGV, SEGV_ACCERR);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, edge, guest->page, PROT_RX));
    GUEST_RUN_TO_CALL(guest);
}

static void fetch_across_pages(uint32_t backend)
{
    struct guest guest;
    uint64_t bytes;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (bytes = 1; bytes < 10; bytes++)
        check_fetch_across(&guest, GUEST_CODE(long_instruction), bytes);
    for (bytes = 1; bytes < 9; bytes++)
        check_fetch_across(&guest, GUEST_CODE(long_nop), bytes);
    guest_close(&guest);
}

/* The instruction ends at the page's end and touches data right behind itself: no fetch, whatever the address. */
static void data_right_behind_the_code(uint32_t backend)
{
    static const unsigned char load[] = {0x8a, 0x07};  /* mov (%rdi), %al */
    static const unsigned char store[] = {0x88, 0x07}; /* mov %al, (%rdi) */
    struct guest guest;
    uint64_t edge;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    edge = TARGET_PAGE + guest.page;
    place_across(&guest, (struct guest_code){load, load + sizeof(load)}, sizeof(load));
    arch_set_ip(guest.context, edge - sizeof(load));
    arch_set_argument(guest.context, 0, edge);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    place_across(&guest, (struct guest_code){store, store + sizeof(store)}, sizeof(store));
    guest_restart(&guest);
    arch_set_ip(guest.context, edge - sizeof(store));
    arch_set_argument(guest.context, 0, edge);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    map_pages(guest.subprocess, edge, guest.page, PROT_RW);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_EXEC, SIGSEGV, SEGV_ACCERR);
    guest_close(&guest);
}

const struct test_case access_cases[] = {
    {"access.updates", "Instructions that read and write fault as WRITE at once", updates},
    {"access.fetch_across_pages", "An instruction that crosses into a bad page faults as EXEC at the edge",
     fetch_across_pages},
    {"access.data_behind_code", "Data right behind the instruction is data and not code", data_right_behind_the_code},
    {0},
};
