/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_LOWEST_ADDRESS_H
#define CORE_LOWEST_ADDRESS_H

#include <stdint.h>

/* The lowest address that a program without privilege may map: vm.mmap_min_addr, rounded up to pages. */
uint64_t lowest_address(uint64_t page);

#endif
