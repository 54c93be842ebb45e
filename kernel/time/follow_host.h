/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Looks at the host's clocks now and then, so that what guests read without a call stays right. */
#ifndef TRAPGATE_KERNEL_FOLLOW_HOST_H
#define TRAPGATE_KERNEL_FOLLOW_HOST_H

struct sandbox;

/* From here on, by a timer of the sandbox's; nothing where guests have no clocks that are told to them. 0 or -ENOMEM.
 */
int follow_host_start(struct sandbox *sandbox);

#endif
