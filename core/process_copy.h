/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of guest memory, where the guest is a process. */
#ifndef CORE_PROCESS_COPY_H
#define CORE_PROCESS_COPY_H

#include "core/guest_parts.h"
#include "core/handles.h"

/* Copies one part of guest memory. How many bytes, or -errno. The caller is inside. */
typedef ssize_t guest_copy(struct tg_subprocess *subprocess, bool to_guest, uint64_t addr, void *buffer, size_t length);

/*
 * By process_vm_readv(2) and process_vm_writev(2), which stop no one. Once the
 * host has forbidden these, all copies of the platform are made by the other
 * way, which takes the first of the parts.
 */
ssize_t process_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts, guest_copy *otherwise);

#endif
