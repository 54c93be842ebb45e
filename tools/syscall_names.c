/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "syscall_names.h"

#include <stddef.h>

/* Generated from the C library's <sys/syscall.h>: one line [number] = "name" for each call. */
static const char *const names[] = {
#include "syscall_name_list.h"
};

const char *syscall_name(uint64_t nr)
{
    return nr < sizeof(names) / sizeof(names[0]) ? names[nr] : NULL;
}
