/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory faults: the address, the access and the code, right the first time. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

/* Sends the guest at an address it has not touched and returns with the event. */
static void touch(struct guest *guest, uint64_t addr)
{
    guest_restart(guest);
    arch_set_argument(guest->context, 0, addr);
    arch_set_argument(guest->context, 1, 0x5a5a5a5a5a5a5a5a);
    guest_run(guest);
}

static void null_touch(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    touch(&guest, 0);
    CHECK_FAULT(&guest.event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest.event.u.fault.ip, GUEST_CODE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void address_is_exact(uint32_t backend)
{
    static const uint64_t offsets[] = {0, 1, 7, 8, 0x7ff, 0xff8};
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    for (i = 0; i < ARRAY_SIZE(offsets); i++) {
        touch(&guest, GUEST_HOLE_AT + offsets[i]);
        CHECK_FAULT(&guest.event, GUEST_HOLE_AT + offsets[i], TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    }
    guest_close(&guest);
}

static void write_is_named_at_once(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    touch(&guest, GUEST_HOLE_AT + 8);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT + 8, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void write_after_read(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_then_write));
    touch(&guest, GUEST_HOLE_AT);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, TG_PROT_READ);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_HOLE_AT), 0x5a5a5a5a5a5a5a5a);
    guest_close(&guest);
}

static void codes_tell_maps_from_rights(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, TG_PROT_NONE);
    touch(&guest, GUEST_HOLE_AT);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, GUEST_HOLE_AT, guest.page, TG_PROT_READ));
    touch(&guest, GUEST_HOLE_AT);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT, guest.page));
    touch(&guest, GUEST_HOLE_AT);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void read_of_no_access_page(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, TG_PROT_NONE);
    touch(&guest, GUEST_HOLE_AT + 16);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT + 16, TG_ACCESS_READ, SIGSEGV, SEGV_ACCERR);
    guest_close(&guest);
}

static void execute_of_data(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(jump));
    touch(&guest, GUEST_DATA_AT + 0x123);
    CHECK_FAULT(&guest.event, GUEST_DATA_AT + 0x123, TG_ACCESS_EXEC, SIGSEGV, SEGV_ACCERR);
    CHECK_EQ(guest.event.u.fault.ip, GUEST_DATA_AT + 0x123);
    CHECK_EQ(arch_ip(guest.context), GUEST_DATA_AT + 0x123);
    guest_close(&guest);
}

static void execute_of_nothing(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(jump));
    touch(&guest, GUEST_HOLE_AT + 0x44);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT + 0x44, TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest.event.u.fault.ip, GUEST_HOLE_AT + 0x44);
    load_code(guest.subprocess, GUEST_HOLE_AT, GUEST_CODE(call_loop));
    arch_set_ip(guest.context, GUEST_HOLE_AT);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

static void return_to_nothing(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(jump_by_return));
    touch(&guest, GUEST_HOLE_AT);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(arch_sp(guest.context), GUEST_STACK_TOP);
    guest_close(&guest);
}

static void invalidate(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    touch(&guest, GUEST_HOLE_AT);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT, guest.page));
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void remap_at_same_address(uint32_t backend)
{
    struct guest guest;
    uint64_t round;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    for (round = 1; round <= 20; round++) {
        touch(&guest, GUEST_HOLE_AT);
        CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
        map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
        guest_run(&guest);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[1], 0);
        guest_store(guest.subprocess, GUEST_HOLE_AT, round);
        guest_run(&guest);
        CHECK_EQ(guest.event.u.syscall.args[1], round);
        CHECK_OK(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT, guest.page));
    }
    guest_close(&guest);
}

/* A page of a file that the file does not have. */
static void past_end_of_file(uint32_t backend)
{
    struct guest guest;
    int file = CHECK_SYSTEM(memfd_create("short", MFD_CLOEXEC));

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    CHECK_SYSTEM(ftruncate(file, (off_t)guest.page));
    CHECK_OK(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, 2 * guest.page, PROT_RW, TG_MAP_SHARED, file, 0));
    touch(&guest, GUEST_HOLE_AT + guest.page - 8);
    CHECK_CALL(&guest.event, GUEST_CALL);
    touch(&guest, GUEST_HOLE_AT + guest.page);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK_EQ(guest.event.u.fault.signo, SIGBUS);
    CHECK_EQ(guest.event.u.fault.code, BUS_ADRERR);
    CHECK_EQ(guest.event.u.fault.access, TG_ACCESS_READ);
    CHECK_EQ(guest.event.u.fault.addr & ~(guest.page - 1), GUEST_HOLE_AT + guest.page);
    CHECK_SYSTEM(ftruncate(file, (off_t)(2 * guest.page)));
    guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    close(file);
    guest_close(&guest);
}

static void past_end_of_file_write(uint32_t backend)
{
    struct guest guest;
    int file = CHECK_SYSTEM(memfd_create("empty", MFD_CLOEXEC));

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    CHECK_OK(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW, TG_MAP_SHARED, file, 0));
    touch(&guest, GUEST_HOLE_AT);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK_EQ(guest.event.u.fault.signo, SIGBUS);
    CHECK_EQ(guest.event.u.fault.code, BUS_ADRERR);
    CHECK_EQ(guest.event.u.fault.access, TG_ACCESS_WRITE);
    close(file);
    guest_close(&guest);
}

/* The reserved ranges and what is above user space are as out of reach as a hole. */
static void library_pages_fault(uint32_t backend)
{
    struct guest guest;
    tg_info info;
    uint32_t i;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    info = platform_info(guest.platform);
    for (i = 0; i < info.reserved_count; i++) {
        touch(&guest, info.reserved[i].start);
        CHECK_KIND(&guest.event, TG_EVENT_FAULT);
        CHECK_EQ(guest.event.u.fault.addr, info.reserved[i].start);
        CHECK_EQ(guest.event.u.fault.access, TG_ACCESS_WRITE);
    }
    guest_close(&guest);
}

static void stack_that_is_not_there(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(jump_by_return));
    CHECK_OK(tg_context_start(guest.context, GUEST_CODE_AT, GUEST_HOLE_AT + 64));
    arch_set_argument(guest.context, 0, GUEST_CODE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT + 56, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void other_subprocess_keeps_its_pages(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *other;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    other = create_loaded_subprocess(guest.platform, GUEST_CODE(read_calls));
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    touch(&guest, GUEST_HOLE_AT);
    CHECK_CALL(&guest.event, GUEST_CALL);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    run_context(guest.context, other, &guest.event);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    tg_subprocess_destroy(other);
    guest_close(&guest);
}

const struct test_case fault_cases[] = {
    {"fault.null", "A read of address 0 faults with MAPERR, and again when it runs again", null_touch},
    {"fault.address_exact", "The address is exact to the byte", address_is_exact},
    {"fault.write_first_time", "A write is called a write on the first fault", write_is_named_at_once},
    {"fault.write_after_read", "A read fault, then a write fault at the same address, each named right",
     write_after_read},
    {"fault.maperr_accerr", "Nothing mapped is MAPERR; mapped without the right is ACCERR",
     codes_tell_maps_from_rights},
    {"fault.no_access_page", "A read of a page without rights is ACCERR and a read", read_of_no_access_page},
    {"fault.exec_of_data", "Running data without execute right faults as EXEC at its address", execute_of_data},
    {"fault.exec_of_nothing", "A jump to nothing faults as EXEC at its target, and can be served", execute_of_nothing},
    {"fault.return_to_nothing", "A return to nothing faults as EXEC with the stack pointer behind the return",
     return_to_nothing},
    {"fault.invalidate", "A page that was touched faults again after it was unmapped", invalidate},
    {"fault.remap", "Unmap and map at one address: the new page is fresh each time", remap_at_same_address},
    {"fault.past_end_of_file", "A read behind the end of a mapped file is SIGBUS, and can be served", past_end_of_file},
    {"fault.past_end_of_file_write", "A write behind the end of a mapped file is SIGBUS and a write",
     past_end_of_file_write},
    {"fault.reserved_ranges", "A guest write to the library's own pages is a fault like any other",
     library_pages_fault},
    {"fault.stack", "A push to a stack that is not there faults as a write below the stack pointer",
     stack_that_is_not_there},
    {"fault.per_subprocess", "A page of one subprocess is not there in another", other_subprocess_keeps_its_pages},
    {0},
};
