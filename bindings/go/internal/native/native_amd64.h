/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_GO_NATIVE_H
#define TRAPGATE_GO_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* The number of the signal that ends the code, 0 if it runs to its end; -1, or above all signals, if that fails. */
int native_run(const void *code, size_t length);

#endif
