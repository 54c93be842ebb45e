/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The registers of FP and vectors in the layout of NT_PRFPREG: v0 to v31, fpsr, fpcr, and eight bytes of nothing. */
#include <errno.h>
#include <string.h>
#include <sys/user.h>

#include "aarch64.h"

void a64_fp_init(void *image, size_t size)
{
    memset(image, 0, size);
}

/* The kernel takes any values: of control bits that the processor does not have nothing comes. */
int a64_fp_check(const void *image, const void *initial, size_t size)
{
    (void)image, (void)initial;
    return size == sizeof(struct user_fpsimd_struct) ? 0 : -EINVAL;
}
