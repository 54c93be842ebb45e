/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "abi/option_structs.h"

static size_t stated_size(const void *callers)
{
    uint32_t size;

    memcpy(&size, callers, sizeof(size));
    return size;
}

int option_struct_check(const void *callers, size_t least, size_t known)
{
    const unsigned char *bytes = callers;
    size_t size = stated_size(callers);

    if (size < least || size > OPTION_STRUCT_MAX)
        return -EINVAL;
    for (size_t i = known; i < size; i++) {
        if (bytes[i])
            return -E2BIG;
    }
    return 0;
}

int option_struct_read(void *ours, size_t known, const void *callers)
{
    size_t size = stated_size(callers);
    int err = option_struct_check(callers, sizeof(uint32_t), known);

    if (err)
        return err;
    memset(ours, 0, known);
    memcpy(ours, callers, size < known ? size : known);
    return 0;
}

void option_struct_write(void *callers, const void *ours, size_t known)
{
    size_t size = stated_size(callers);
    size_t length = size < known ? size : known;

    memcpy((char *)callers + sizeof(uint32_t), (const char *)ours + sizeof(uint32_t), length - sizeof(uint32_t));
    if (size > length)
        memset((char *)callers + length, 0, size - length);
}
