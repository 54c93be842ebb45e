/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The number and the error code of page faults: those of the host kernel. */
#include <signal.h>
#include <sys/mman.h>

#include "../cases.h"
#include "arch.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "native.h"

/* Guests of exceptions.S and the rights that their data page has by then; it has been written to before. */
#define PAGE_FAULTS(X)                                                                                                 \
    X(load_page, NONE)                                                                                                 \
    X(store_page, NONE)                                                                                                \
    X(run_page, NONE)                                                                                                  \
    X(store_page, READ)                                                                                                \
    X(run_page, READ)                                                                                                  \
    X(load_null, READ)                                                                                                 \
    X(store_null, READ)                                                                                                \
    X(run_null, READ)                                                                                                  \
    X(load_kernel, READ)                                                                                               \
    X(store_kernel, READ)                                                                                              \
    X(run_kernel, READ)

struct page_fault {
    const char *name;
    struct guest_code code;
    int native_rights;
    uint32_t rights;
};

#define DECLARE_FAULT(name, rights) GUEST_DECLARE(raise_##name);
#define FAULT_ENTRY(name, rights)   {#name " " #rights, GUEST_INIT(raise_##name), PROT_##rights, TG_PROT_##rights},

PAGE_FAULTS(DECLARE_FAULT)

static const struct page_fault page_faults[] = {PAGE_FAULTS(FAULT_ENTRY)};

static void raise_fault(struct guest *guest, const struct page_fault *fault)
{
    load_code(guest->subprocess, GUEST_CODE_AT, fault->code);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, GUEST_DATA_AT, guest->page, PROT_RW));
    guest_store(guest->subprocess, GUEST_DATA_AT, 0);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, GUEST_DATA_AT, guest->page, fault->rights));
    guest_restart(guest);
    arch_set_argument(guest->context, 0, GUEST_DATA_AT);
    guest_run(guest);
}

static void codes_like_native(uint32_t backend)
{
    struct guest guest;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(page_faults); i++) {
        struct native_signal native = native_run_with_page(page_faults[i].code, page_faults[i].native_rights);

        check_context("%s", page_faults[i].name);
        raise_fault(&guest, &page_faults[i]);
        CHECK_KIND(&guest.event, TG_EVENT_FAULT);
        CHECK_EQ(guest.event.u.fault.signo, native.signo);
        CHECK_EQ(guest.event.u.fault.code, native.code);
        CHECK(guest.event.flags & TG_FLAG_TRAP);
        CHECK_EQ(guest.event.u.fault.trap, native.trap);
        CHECK_EQ(guest.event.u.fault.error_code, native.error_code);
    }
    guest_close(&guest);
}

/* systrap has what the kernel said, ptrace what follows from the signal. */
static void says_where_it_comes_from(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    guest_run(&guest);
    CHECK_FAULT(&guest.event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest.event.flags, TG_FLAG_TRAP | (backend == TG_BACKEND_PTRACE ? TG_FLAG_TRAP_DERIVED : 0));
    guest_close(&guest);
}

const struct test_case page_fault_cases[] = {
    {"page_fault.codes", "Page faults have the number and the error code that the host kernel gives",
     codes_like_native},
    {"page_fault.derived", "TG_FLAG_TRAP_DERIVED is on events whose number nobody has reported, and on no others",
     says_where_it_comes_from},
    {0},
};
