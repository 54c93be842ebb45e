/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What every accepted plan must be like. */
#ifndef TESTS_UNIT_X86_64_PATCH_SITE_CHECKS_H
#define TESTS_UNIT_X86_64_PATCH_SITE_CHECKS_H

#include <Zydis/Zydis.h>

#include "patch_site_code.h"

const ZydisDecoder *decoder(void);
/* 0: it is none. */
size_t instruction_length(const uint8_t *code, size_t length);

void check_trampoline(const struct patch_plan *plan, const struct patch_request *request);
/* The jump, the trampoline, and where a thread is sent that arrives inside. */
void check_plan(const struct patch_plan *plan, const struct patch_request *request);
/* Plans and checks. */
struct patch_plan accepted(const struct code *code, uint64_t nr, enum patch_pattern pattern);

#endif
