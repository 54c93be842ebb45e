/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_site_names.h"

static const char *const pattern_names[PATCH_PATTERNS] = {
    [PATCH_NONE] = "none",
    [PATCH_BEFORE_MOV_EAX] = "before, mov to eax",
    [PATCH_BEFORE_OTHER] = "before, longer mov",
    [PATCH_AFTER] = "after",
};

static const char *const refusal_names[PATCH_OK + 1] = {
    [PATCH_REFUSED_OTHER] = "bad request",
    [PATCH_REFUSED_NO_SYSCALL] = "no syscall there",
    [PATCH_REFUSED_SIGNAL_RETURN] = "signal return",
    [PATCH_REFUSED_UNREADABLE] = "unknown bytes",
    [PATCH_REFUSED_NO_MOV] = "no mov of the number",
    [PATCH_REFUSED_DECOY] = "decoy",
    [PATCH_REFUSED_PAGE_EDGE] = "page edge",
    [PATCH_REFUSED_UNDECODABLE] = "undecodable neighbour",
    [PATCH_REFUSED_RELATIVE] = "branch or rip-relative neighbour",
    [PATCH_REFUSED_MEMORY] = "memory operand",
    [PATCH_REFUSED_REGISTER] = "rsp, rcx or r11 in a neighbour",
    [PATCH_REFUSED_UNLISTED] = "unlisted neighbour",
    [PATCH_REFUSED_NO_ROOM] = "no room",
    [PATCH_REFUSED_MAPPING] = "mapping",
    [PATCH_REFUSED_FULL] = "full",
    [PATCH_REFUSED_CHANGES] = "changes",
    [PATCH_OK] = "none",
};

const char *pattern_name(enum patch_pattern pattern)
{
    return (unsigned int)pattern < PATCH_PATTERNS ? pattern_names[pattern] : "?";
}

const char *refusal_name(enum patch_refusal refusal)
{
    return (unsigned int)refusal <= PATCH_OK ? refusal_names[refusal] : "?";
}
