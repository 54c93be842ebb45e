/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The backends, in the order in which TG_BACKEND_AUTO tries them. Each has its struct backend_ops in NAME_backend. */
#ifndef CORE_BACKEND_LIST_H
#define CORE_BACKEND_LIST_H

/* clang-format off */
#define BACKENDS(BACKEND) \
    BACKEND(systrap)      \
    BACKEND(ptrace)
/* clang-format on */

#endif
