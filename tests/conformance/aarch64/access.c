/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The access of a fault, by the instruction that made it. */
#include <signal.h>
#include <stdio.h>

#include "../cases.h"
#include "arch.h"
#include "guest.h"
#include "guests_aarch64.h"

#define TARGET_PAGE 0x40010000ull
/* Aligned for every form, and far from the edges of its page. */
#define TARGET      (TARGET_PAGE + 0x240)

/* clang-format off */
#define READ_FORMS(X)                                                                                                  \
    X(ldr) X(ldrb) X(ldrsw) X(ldr_after) X(ldtr) X(ldp) X(ldpsw) X(ldnp) X(ldr_q) X(ldr_s) X(ldp_q) X(ld1)             \
    X(ld1_lane) X(ld1r) X(ldxr) X(ldaxp) X(ldar) X(ldapr) X(ldapur) X(sve_ld1) X(sve_ldr) X(sve_ldr_p)
#define WRITE_FORMS(X)                                                                                                 \
    X(str) X(strb) X(str_before) X(stur) X(sttr) X(stp) X(stnp) X(str_q) X(str_d) X(stp_q) X(st1) X(st1_lane) X(st4)   \
    X(stlr) X(stlur) X(zero) X(sve_st1) X(sve_str)
#define UPDATE_FORMS(X) X(cas) X(casal) X(casp) X(swp) X(ldadd) X(stadd) X(ldset)
/* clang-format on */

struct form {
    const char *name;
    struct guest_code code;
};

#define DECLARE_FORM(name) GUEST_DECLARE(access_##name);
#define FORM_ENTRY(name)   {#name, GUEST_INIT(access_##name)},

READ_FORMS(DECLARE_FORM)
WRITE_FORMS(DECLARE_FORM)
UPDATE_FORMS(DECLARE_FORM)

static const struct form read_forms[] = {READ_FORMS(FORM_ENTRY)};
static const struct form write_forms[] = {WRITE_FORMS(FORM_ENTRY)};
static const struct form update_forms[] = {UPDATE_FORMS(FORM_ENTRY)};

static void enter_form(struct guest *guest)
{
    guest_restart(guest);
    arch_set_argument(guest->context, 0, TARGET);
    guest_run(guest);
}

/* The address is near the target: an offset, or what the instruction writes around it. */
static void check_access(const struct guest *guest, uint32_t access, int code)
{
    const tg_event *event = &guest->event;

    CHECK_EQ(event->kind, TG_EVENT_FAULT);
    CHECK_EQ(event->u.fault.access, access);
    CHECK_EQ(event->u.fault.code, code);
    CHECK_EQ(event->u.fault.addr & ~0xfffull, TARGET_PAGE);
}

static bool is_missing(const struct guest *guest)
{
    return guest->event.kind == TG_EVENT_EXCEPTION && guest->event.u.exception.signo == SIGILL;
}

/* first: where the address cannot be read; then: where it can, and not be written. 0: it goes through. */
static void check_form(struct guest *guest, const struct form *form, uint32_t first, uint32_t then)
{
    load_code(guest->subprocess, GUEST_CODE_AT, form->code);
    CHECK_OK(tg_subprocess_unmap(guest->subprocess, TARGET_PAGE, guest->page));
    check_context("%s, nothing mapped", form->name);
    enter_form(guest);
    if (is_missing(guest)) {
        printf("%s: not on this processor\n", form->name);
        return;
    }
    check_access(guest, first, SEGV_MAPERR);

    map_pages(guest->subprocess, TARGET_PAGE, guest->page, TG_PROT_NONE);
    check_context("%s, no rights", form->name);
    enter_form(guest);
    check_access(guest, first, SEGV_ACCERR);

    CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, TG_PROT_READ));
    check_context("%s, read-only", form->name);
    enter_form(guest);
    if (then)
        check_access(guest, then, SEGV_ACCERR);
    else
        CHECK_CALL(&guest->event, GUEST_CALL);

    CHECK_OK(tg_subprocess_protect(guest->subprocess, TARGET_PAGE, guest->page, PROT_RW));
    check_context("%s, served", form->name);
    enter_form(guest);
    CHECK_CALL(&guest->event, GUEST_CALL);
}

static void check_forms(uint32_t backend, const struct form *forms, size_t count, uint32_t first, uint32_t then)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (size_t i = 0; i < count; i++)
        check_form(&guest, &forms[i], first, then);
    guest_close(&guest);
}

static void reads(uint32_t backend)
{
    check_forms(backend, read_forms, ARRAY_SIZE(read_forms), TG_ACCESS_READ, 0);
}

static void writes(uint32_t backend)
{
    check_forms(backend, write_forms, ARRAY_SIZE(write_forms), TG_ACCESS_WRITE, TG_ACCESS_WRITE);
}

static void updates(uint32_t backend)
{
    check_forms(backend, update_forms, ARRAY_SIZE(update_forms), TG_ACCESS_READ, TG_ACCESS_WRITE);
}

const struct test_case access_cases[] = {
    {"access.reads", "Every kind of load is a read", reads},
    {"access.writes", "Every kind of store is a write", writes},
    {"access.updates", "What reads and writes is a read where the address cannot be read, else a write", updates},
    {0},
};
