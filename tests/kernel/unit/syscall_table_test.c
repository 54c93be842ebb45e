/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch.h"
#include "syscall_handler.h"

static void each_entry_is_at_its_number(void **state)
{
    struct syscall_table table;

    (void)state;
    syscall_table_init(&table);
    for (uint32_t nr = 0; nr < SYSCALL_NR_MAX; nr++)
        assert_true(!table.entries[nr].handler || table.entries[nr].nr == nr);
}

/* A name that is spelt in two ways would be a call that silently is not there. */
static void the_processor_s_older_calls_are_handled(void **state)
{
    struct syscall_table table;

    (void)state;
    syscall_table_init(&table);
    assert_true(arch_older_calls_count <= SYSCALL_NR_MAX);
    for (size_t i = 0; i < arch_older_calls_count; i++) {
        const struct syscall_entry *entry = &table.entries[arch_older_calls[i].nr];

        if (!entry->handler)
            print_message("nobody handles %s\n", arch_older_calls[i].name);
        assert_non_null(entry->handler);
        assert_string_equal(entry->name, arch_older_calls[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_entry_is_at_its_number),
        cmocka_unit_test(the_processor_s_older_calls_are_handled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
