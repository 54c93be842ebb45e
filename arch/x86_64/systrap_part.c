/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the systrap backend needs of x86-64. */
#include "systrap_offsets.h"
#include "x86_64.h"

extern const uint8_t tgi_systrap_blob[];
extern const uint8_t tgi_systrap_blob_end[];

static const struct arch_systrap part = {
    .blob = tgi_systrap_blob,
    .blob_end = tgi_systrap_blob_end,
    .enter = x86_systrap_enter,
    .handler_offset = SYSTRAP_OFFSET_HANDLER,
    .restorer_offset = SYSTRAP_OFFSET_RESTORER,
    .capabilities = TG_CAP_ACCESS_EXACT | TG_CAP_SINGLE_STEP,
    .pause = x86_systrap_pause,
    .between_looks = x86_systrap_between_looks,
    .fetch_to_write = x86_systrap_fetch_to_write,
    .ticks = x86_systrap_ticks,
    .missing = x86_systrap_missing,
    .fp_learn = x86_systrap_fp_learn,
    .fp_from_frame = x86_systrap_fp_from_frame,
    .fp_repair = x86_systrap_fp_repair,
    .read_regs = x86_systrap_read_regs,
    .write_regs = x86_systrap_write_regs,
    .set_return = x86_systrap_set_return,
    .read_syscall = x86_systrap_read_syscall,
    .error_access = x86_systrap_error_access,
};

const struct arch_systrap *const tgi_arch_systrap = &part;
