/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory faults: what depends on where this library has its own pages. The rest is rows. */
#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

/* The reserved ranges and what is above user space are as out of reach as a hole. */
static void library_pages_fault(uint32_t backend)
{
    struct guest guest;
    tg_info info;
    uint32_t i;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    info = platform_info(guest.platform);
    for (i = 0; i < info.reserved_count; i++) {
        guest_restart(&guest);
        arch_set_argument(guest.context, 0, info.reserved[i].start);
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_FAULT);
        CHECK_EQ(guest.event.u.fault.addr, info.reserved[i].start);
        CHECK_EQ(guest.event.u.fault.access, TG_ACCESS_WRITE);
    }
    guest_close(&guest);
}

const struct test_case fault_cases[] = {
    {"fault.reserved_ranges", "A guest write to the library's own pages is a fault like any other",
     library_pages_fault},
    {0},
};
