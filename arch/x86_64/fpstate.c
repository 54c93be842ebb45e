/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The XSAVE area in the layout of NT_X86_XSTATE (standard format). */
#include <errno.h>
#include <string.h>

#include "x86_64.h"

#define XSAVE_FCW             0
#define XSAVE_MXCSR           24
#define XSAVE_MXCSR_MASK      28
#define XSAVE_SW_RESERVED     464 /* the kernel writes the features it supports here */
#define XSAVE_LEGACY_END      512
#define XSAVE_BV              512
#define XSAVE_COMP_BV         520
#define XSAVE_HEADER_RESERVED 528
#define XSAVE_HEADER_END      576

#define FCW_INITIAL              0x37f
#define MXCSR_INITIAL            0x1f80u
#define MXCSR_MASK_WITHOUT_CPUID 0xffbfu
#define FEATURES_X87_SSE         3ull

static uint32_t load32(const uint8_t *image, size_t offset)
{
    uint32_t value;

    memcpy(&value, image + offset, sizeof(value));
    return value;
}

static uint64_t load64(const uint8_t *image, size_t offset)
{
    uint64_t value;

    memcpy(&value, image + offset, sizeof(value));
    return value;
}

void x86_fp_init(void *image, size_t size)
{
    uint8_t *bytes = image;
    const uint16_t fcw = FCW_INITIAL;
    const uint32_t mxcsr = MXCSR_INITIAL;
    const uint64_t features = FEATURES_X87_SSE;
    uint32_t mxcsr_mask = load32(bytes, XSAVE_MXCSR_MASK);

    memset(bytes, 0, XSAVE_SW_RESERVED);
    memset(bytes + XSAVE_LEGACY_END, 0, size - XSAVE_LEGACY_END);
    memcpy(bytes + XSAVE_FCW, &fcw, sizeof(fcw));
    memcpy(bytes + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    memcpy(bytes + XSAVE_MXCSR_MASK, &mxcsr_mask, sizeof(mxcsr_mask));
    memcpy(bytes + XSAVE_BV, &features, sizeof(features));
}

int x86_fp_check(const void *image, const void *initial, size_t size)
{
    const uint8_t *bytes = image;
    uint64_t supported = load64(initial, XSAVE_SW_RESERVED);
    uint32_t mxcsr_mask = load32(initial, XSAVE_MXCSR_MASK);

    if (size < XSAVE_HEADER_END)
        return -EINVAL;
    if (!mxcsr_mask)
        mxcsr_mask = MXCSR_MASK_WITHOUT_CPUID;
    if (load32(bytes, XSAVE_MXCSR) & ~mxcsr_mask)
        return -EINVAL;
    if (load64(bytes, XSAVE_BV) & ~supported)
        return -EINVAL;
    if (load64(bytes, XSAVE_COMP_BV))
        return -EINVAL;
    for (size_t i = XSAVE_HEADER_RESERVED; i < XSAVE_HEADER_END; i++) {
        if (bytes[i])
            return -EINVAL;
    }
    return 0;
}
