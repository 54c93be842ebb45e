/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The FP image of a new thread, and images that the processor would refuse. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "arch/arch_cpu.h"

#define IMAGE_SIZE   2696 /* with AVX-512 */
#define FCW          0
#define MXCSR        24
#define MXCSR_MASK   28
#define SUPPORTED    464
#define XSTATE_BV    512
#define XCOMP_BV     520
#define RESERVED     528
#define RESERVED_END 576
#define FEATURES     0xe7ull /* what the kernel says that it saves */

/* As the kernel hands it out: full of somebody's numbers. */
static void kernel_image(uint8_t *image)
{
    const uint64_t features = FEATURES;
    const uint32_t mask = 0xffff;
    memset(image, 0x5a, IMAGE_SIZE);
    memset(image + XCOMP_BV, 0, RESERVED_END - XCOMP_BV);
    memcpy(image + XSTATE_BV, &features, sizeof(features));
    memcpy(image + SUPPORTED, &features, sizeof(features));
    memcpy(image + MXCSR_MASK, &mask, sizeof(mask));
}

static void initial_image(uint8_t *image)
{
    kernel_image(image);
    tgi_arch.fp_init(image, IMAGE_SIZE);
}

static void a_new_thread(void **state)
{
    (void)state;
    uint8_t image[IMAGE_SIZE];
    uint16_t fcw;
    uint32_t mxcsr;
    initial_image(image);
    memcpy(&fcw, image + FCW, sizeof(fcw));
    memcpy(&mxcsr, image + MXCSR, sizeof(mxcsr));
    assert_int_equal(fcw, 0x37f);
    assert_int_equal(mxcsr, 0x1f80);
    assert_int_equal(tgi_arch.fp_check(image, image, IMAGE_SIZE), 0);
    /* Nothing of what was there before may reach a guest. */
    for (size_t i = 32; i < IMAGE_SIZE; i++)
        if (i < SUPPORTED || i >= XCOMP_BV)
            assert_int_equal(image[i], 0);
}

static void sound_images(void **state)
{
    (void)state;
    uint8_t initial[IMAGE_SIZE];
    uint8_t image[IMAGE_SIZE];
    initial_image(initial);
    kernel_image(image);
    memcpy(image + MXCSR, "\x80\x1f\0", 4);
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), 0);
    memset(image + XSTATE_BV, 0, 8);
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), 0);
}

static void refused_with(size_t offset, uint8_t bits)
{
    uint8_t initial[IMAGE_SIZE];
    uint8_t image[IMAGE_SIZE];
    initial_image(initial);
    initial_image(image);
    image[offset] |= bits;
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), -EINVAL);
}

static void refused_images(void **state)
{
    (void)state;
    refused_with(MXCSR + 2, 0x01);
    refused_with(MXCSR + 3, 0x80);
    refused_with(XSTATE_BV, 0x08);
    refused_with(XSTATE_BV + 1, 0x02);
    refused_with(XSTATE_BV + 7, 0x80);
    refused_with(XCOMP_BV, 0x01);
    refused_with(XCOMP_BV + 7, 0x80);
    for (size_t offset = RESERVED; offset < RESERVED_END; offset++)
        refused_with(offset, 0x10);
}

/* What the kernel supports is taken from its own image, never from the caller's. */
static void forged_features(void **state)
{
    (void)state;
    uint8_t initial[IMAGE_SIZE];
    uint8_t image[IMAGE_SIZE];
    initial_image(initial);
    initial_image(image);
    memset(image + SUPPORTED, 0xff, 8);
    memset(image + MXCSR_MASK, 0xff, 4);
    memset(image + XSTATE_BV, 0xff, 8);
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), -EINVAL);
    memset(image + XSTATE_BV, 0, 8);
    memset(image + MXCSR, 0xff, 4);
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), -EINVAL);
}

/* A processor that says nothing about its MXCSR has the bits of the first one. */
static void no_mxcsr_mask(void **state)
{
    (void)state;
    uint8_t initial[IMAGE_SIZE];
    uint8_t image[IMAGE_SIZE];
    initial_image(initial);
    memset(initial + MXCSR_MASK, 0, 4);
    memcpy(image, initial, sizeof(image));
    memcpy(image + MXCSR, "\xbf\xff\0", 4);
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), 0);
    image[MXCSR] |= 0x40;
    assert_int_equal(tgi_arch.fp_check(image, initial, IMAGE_SIZE), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_thread),    cmocka_unit_test(sound_images),  cmocka_unit_test(refused_images),
        cmocka_unit_test(forged_features), cmocka_unit_test(no_mxcsr_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
