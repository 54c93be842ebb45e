/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "programs/loader.h"

static int make_room(struct string_list *list, size_t more)
{
    size_t capacity = list->capacity ? list->capacity : 4096;
    char *larger;

    if (more > PROGRAM_STRING_MAX || list->length + more > PROGRAM_STRINGS_MAX)
        return -E2BIG;
    while (capacity < list->length + more)
        capacity *= 2;
    if (capacity == list->capacity)
        return 0;
    larger = realloc(list->bytes, capacity);
    if (!larger)
        return -ENOMEM;
    list->bytes = larger;
    list->capacity = capacity;
    return 0;
}

static int insert(struct string_list *list, size_t where, const char *string)
{
    size_t length = strlen(string) + 1;
    int err = make_room(list, length);

    if (err)
        return err;
    memmove(list->bytes + where + length, list->bytes + where, list->length - where);
    memcpy(list->bytes + where, string, length);
    list->length += length;
    list->count++;
    return 0;
}

int string_list_add(struct string_list *list, const char *string)
{
    return insert(list, list->length, string);
}

int string_list_add_first(struct string_list *list, const char *string)
{
    return insert(list, 0, string);
}

void string_list_remove_first(struct string_list *list)
{
    size_t length;

    if (list->count == 0)
        return;
    length = strlen(list->bytes) + 1;
    memmove(list->bytes, list->bytes + length, list->length - length);
    list->length -= length;
    list->count--;
}

void string_list_free(struct string_list *list)
{
    free(list->bytes);
    *list = (struct string_list){0};
}

void program_free(struct program *program)
{
    free(program->path);
    program->path = NULL;
    string_list_free(&program->arguments);
    string_list_free(&program->environment);
}
