/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Asked about this very process. */
#include "unit.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/guest_maps.h"

static void own_memory(void **state)
{
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *pages = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_READ | PROT_EXEC), 0);
    const uint64_t addr = (uintptr_t)pages;
    assert_false(guest_maps_executable(getpid(), addr + page - 1));
    assert_true(guest_maps_executable(getpid(), addr + page));
    assert_true(guest_maps_executable(getpid(), addr + 2 * page - 1));
    assert_false(guest_maps_executable(getpid(), addr + 2 * page));
    assert_int_equal(munmap(pages, 3 * page), 0);
    assert_false(guest_maps_executable(getpid(), addr + page));
}

static void nobody(void **state)
{
    (void)state;
    assert_false(guest_maps_executable(0x3fffffff, 0x1000));
    assert_false(guest_maps_executable(getpid(), 0));
    assert_false(guest_maps_executable(getpid(), 1ull << 62));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_memory),
        cmocka_unit_test(nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
