/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The closed list of results. */
#ifndef ABI_PUBLIC_ERRORS_H
#define ABI_PUBLIC_ERRORS_H

/* Lets 0, positive numbers and the listed errors pass; anything else becomes -EIO. */
int public_error(int err);
const char *public_error_text(int err);

#endif
