/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The access of a fault, by every kind of instruction that touches memory, right on the first fault. */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "../cases.h"
#include "access_forms.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "updates.h"

#define TARGET_PAGE 0x40010000ull
/* Aligned for every form, and far from the edges of its page. */
#define TARGET      (TARGET_PAGE + 0x240)
#define FS_OFFSET   0x20000

enum exactness { EXACT, PAGE };

enum { ACCESS_NONE = 0, ACCESS_READ = TG_ACCESS_READ, ACCESS_WRITE = TG_ACCESS_WRITE };

struct form {
    const char *name;
    struct guest_code code;
    const unsigned char *at;
    uint32_t access;
    enum exactness exactness;
    enum cpu_feature feature;
};

#define DECLARE_FORM(name, access, exactness, feature)                                                                 \
    extern const unsigned char guest_##name[], guest_##name##_at[], guest_##name##_end[];
#define FORM_ENTRY(name, access, exactness, feature)                                                                   \
    {#name, GUEST_INIT(name), guest_##name##_at, ACCESS_##access, exactness, feature},

READ_FORMS(DECLARE_FORM)
WRITE_FORMS(DECLARE_FORM)
UPDATE_FORMS(DECLARE_FORM)
HINT_FORMS(DECLARE_FORM)

static const struct form read_forms[] = {READ_FORMS(FORM_ENTRY)};
static const struct form write_forms[] = {WRITE_FORMS(FORM_ENTRY)};
static const struct form update_forms[] = {UPDATE_FORMS(FORM_ENTRY)};
static const struct form hint_forms[] = {HINT_FORMS(FORM_ENTRY)};

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
    uint64_t addr = TARGET;

    if (event->kind == TG_EVENT_FAULT && form->exactness == PAGE &&
        (event->u.fault.addr & ~(guest->page - 1)) == TARGET_PAGE)
        addr = event->u.fault.addr;
    CHECK_FAULT(event, addr, form->access, SIGSEGV, code);
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

    if (form->access == TG_ACCESS_WRITE) {
        CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, TG_PROT_READ));
        check_context("%s, read-only", form->name);
        enter_form(guest);
        check_form_fault(guest, form, SEGV_ACCERR);
    }

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

static void reads(uint32_t backend)
{
    check_forms(backend, read_forms, ARRAY_SIZE(read_forms));
}

static void writes(uint32_t backend)
{
    check_forms(backend, write_forms, ARRAY_SIZE(write_forms));
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

static void hints(uint32_t backend)
{
    struct guest guest;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(hint_forms); i++) {
        check_context("%s", hint_forms[i].name);
        load_code(guest.subprocess, GUEST_CODE_AT, hint_forms[i].code);
        enter_form(&guest);
        CHECK_CALL(&guest.event, GUEST_CALL);
    }
    guest_close(&guest);
}

/* The target is reached through a segment base; the address reported is the linear one. */
static void segment_bases(uint32_t backend)
{
    static const struct form through_fs[] = {
        FORM_ENTRY(load_fs, READ, EXACT, CPU_ALWAYS) FORM_ENTRY(store_fs, WRITE, EXACT, CPU_ALWAYS)
            FORM_ENTRY(load_gs, READ, EXACT, CPU_ALWAYS) FORM_ENTRY(store_gs, WRITE, EXACT, CPU_ALWAYS)};
    struct guest guest;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(through_fs); i++) {
        tg_regs *regs;

        check_context("%s", through_fs[i].name);
        load_code(guest.subprocess, GUEST_CODE_AT, through_fs[i].code);
        guest_restart(&guest);
        regs = tg_context_regs_mut(guest.context);
        regs->fs_base = FS_OFFSET;
        regs->gs_base = FS_OFFSET;
        regs->rdi = TARGET - FS_OFFSET;
        guest_run(&guest);
        check_form_fault(&guest, &through_fs[i], SEGV_MAPERR);
    }
    guest_close(&guest);
}

/* An access that begins on a good page and ends on a bad one: the address is on the bad page. */
static void across_pages(uint32_t backend)
{
    struct guest guest;
    uint64_t edge = GUEST_DATA_AT + GUEST_DATA_SIZE;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    arch_set_argument(guest.context, 0, edge - 3);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(write_calls));
    guest_restart(&guest);
    arch_set_argument(guest.context, 0, edge - 3);
    arch_set_argument(guest.context, 1, ~0ull);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    /* Nothing of the write may show. */
    CHECK_EQ(guest_load(guest.subprocess, edge - 8), 0);
    map_pages(guest.subprocess, edge, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest_load(guest.subprocess, edge - 3), ~0ull);
    guest_close(&guest);
}

static void repeated_copy_stops_in_the_middle(uint32_t backend)
{
    struct guest guest;
    uint64_t edge = GUEST_DATA_AT + GUEST_DATA_SIZE;
    tg_regs *regs;
    int i;

    guest_open(&guest, backend, GUEST_CODE(copy_words));
    for (i = 0; i < 4; i++)
        guest_store(guest.subprocess, GUEST_DATA_AT + 8 * (uint64_t)i, 100 + (uint64_t)i);
    regs = tg_context_regs_mut(guest.context);
    regs->rsi = GUEST_DATA_AT;
    regs->rdi = edge - 16;
    regs->rcx = 4;
    guest_run(&guest);
    CHECK_FAULT(&guest.event, edge, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(tg_context_regs(guest.context)->rcx, 2);
    CHECK_EQ(tg_context_regs(guest.context)->rdi, edge);
    map_pages(guest.subprocess, edge, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    for (i = 0; i < 4; i++)
        CHECK_EQ(guest_load(guest.subprocess, edge - 16 + 8 * (uint64_t)i), 100 + (uint64_t)i);
    guest_close(&guest);
}

static void own_code(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(write_own_code));
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_CODE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_EQ(guest.event.u.fault.ip, GUEST_CODE_AT);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, GUEST_CODE_AT, guest.page, PROT_RW | TG_PROT_EXEC));
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

static void through_pointers(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(jump_through));
    enter_form(&guest);
    CHECK_FAULT(&guest.event, TARGET, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(return_through));
    enter_form(&guest);
    CHECK_FAULT(&guest.event, TARGET, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest.event.u.fault.ip, GUEST_PLACE(return_through, return_through_at));
    /* With a pointer there, the pointer's target is what faults. */
    map_pages(guest.subprocess, TARGET_PAGE, guest.page, PROT_RW);
    guest_store(guest.subprocess, TARGET, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
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
    {"access.reads", "Dozens of forms of reading instructions fault as READ, at the right address", reads},
    {"access.writes", "Dozens of forms of writing instructions fault as WRITE, on read-only pages too", writes},
    {"access.updates", "Instructions that read and write fault as WRITE at once", updates},
    {"access.hints", "Prefetches and other hints do not fault", hints},
    {"access.segment_bases", "Through fs and gs the linear address is reported", segment_bases},
    {"access.across_pages", "An access across a page edge reports the bad page, and no half of it shows", across_pages},
    {"access.repeated", "A repeated copy stops in the middle with exact registers and goes on",
     repeated_copy_stops_in_the_middle},
    {"access.own_code", "A write to the instruction's own address is WRITE and not EXEC", own_code},
    {"access.through_pointer", "A jump through memory reads first, then fetches", through_pointers},
    {"access.fetch_across_pages", "An instruction that crosses into a bad page faults as EXEC at the edge",
     fetch_across_pages},
    {"access.data_behind_code", "Data right behind the instruction is data and not code", data_right_behind_the_code},
    {0},
};
