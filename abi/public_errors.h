/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The closed list of results. */
#ifndef ABI_PUBLIC_ERRORS_H
#define ABI_PUBLIC_ERRORS_H

int public_error_listed(int err);
/* Lets 0, positive numbers and the listed errors pass; anything else becomes -EIO. */
static inline int public_error(int err)
{
    return err < 0 ? public_error_listed(err) : err;
}

const char *public_error_text(int err);

#endif
