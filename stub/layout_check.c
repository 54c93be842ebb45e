/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The numbers that assembly uses are the offsets of the structs that C uses. */
#include <stddef.h>

#include "protocol.h"

_Static_assert(offsetof(struct stub_call, nr) == STUB_CALL_NR, "nr");
_Static_assert(offsetof(struct stub_call, args[0]) == STUB_CALL_ARG0, "args[0]");
_Static_assert(offsetof(struct stub_call, args[1]) == STUB_CALL_ARG1, "args[1]");
_Static_assert(offsetof(struct stub_call, args[2]) == STUB_CALL_ARG2, "args[2]");
_Static_assert(offsetof(struct stub_call, args[3]) == STUB_CALL_ARG3, "args[3]");
_Static_assert(offsetof(struct stub_call, args[4]) == STUB_CALL_ARG4, "args[4]");
_Static_assert(offsetof(struct stub_call, args[5]) == STUB_CALL_ARG5, "args[5]");
_Static_assert(sizeof(struct stub_call) == STUB_CALL_SIZE, "size");
