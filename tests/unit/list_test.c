/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "unit.h"

#include "core/list.h"

struct item {
    int number;
    struct list node;
};

static void check_order(const struct list *head, const int *numbers, size_t count)
{
    const struct list *node;
    size_t i = 0;
    list_for_each(node, head)
    {
        assert_true(i < count);
        assert_int_equal(container_of(node, const struct item, node)->number, numbers[i++]);
    }
    assert_int_equal(i, count);
}

static void order(void **state)
{
    (void)state;
    struct list head;
    struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    assert_true(list_empty(&head));
    list_add_last(&head, &items[1].node);
    list_add_last(&head, &items[2].node);
    list_add_first(&head, &items[0].node);
    assert_false(list_empty(&head));
    check_order(&head, (const int[]){1, 2, 3}, 3);
}

static void removing_twice(void **state)
{
    (void)state;
    struct list head;
    struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_add_last(&head, &items[i].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    check_order(&head, (const int[]){1, 3}, 2);
    list_remove(&items[0].node);
    list_remove(&items[2].node);
    assert_true(list_empty(&head));
}

static void removing_while_walking(void **state)
{
    (void)state;
    struct list head;
    struct list *node;
    struct list *after;
    struct item items[5];
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_add_last(&head, &items[i].node);
    }
    list_for_each_safe(node, after, &head)
    {
        if (container_of(node, struct item, node)->number % 2 == 0)
            list_remove(node);
    }
    check_order(&head, (const int[]){1, 3}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(removing_twice),
        cmocka_unit_test(removing_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
