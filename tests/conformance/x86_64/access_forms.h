/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The instruction forms of guests/x86_64/access.S:
 *   X(name, access, how exact the address is, what the processor needs)
 * Instructions that move a large area may report any byte of its page.
 */
#ifndef TESTS_CONFORMANCE_X86_64_ACCESS_FORMS_H
#define TESTS_CONFORMANCE_X86_64_ACCESS_FORMS_H

#define READ_FORMS(X)                                                                                                  \
    X(load_byte, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(load_word, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(load_indexed, READ, EXACT, CPU_ALWAYS)                                                                           \
    X(load_addr32, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(load_extend, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(load_sign, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(add_from, READ, EXACT, CPU_ALWAYS)                                                                               \
    X(compare, READ, EXACT, CPU_ALWAYS)                                                                                \
    X(compare_zero, READ, EXACT, CPU_ALWAYS)                                                                           \
    X(test_bits, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(bit_test, READ, EXACT, CPU_ALWAYS)                                                                               \
    X(multiply, READ, EXACT, CPU_ALWAYS)                                                                               \
    X(conditional, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(push_from, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(pop_register, READ, EXACT, CPU_ALWAYS)                                                                           \
    X(leave_frame, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(translate, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(load_string, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(scan_string, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(scan_repeated, READ, EXACT, CPU_ALWAYS)                                                                          \
    X(compare_strings, READ, EXACT, CPU_ALWAYS)                                                                        \
    X(move_from, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(move_from_rep, READ, EXACT, CPU_ALWAYS)                                                                          \
    X(move_both, READ, EXACT, CPU_ALWAYS)                                                                              \
    X(load_sse, READ, EXACT, CPU_ALWAYS)                                                                               \
    X(load_sse_op, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(load_sse_scalar, READ, EXACT, CPU_ALWAYS)                                                                        \
    X(load_x87, READ, EXACT, CPU_ALWAYS)                                                                               \
    X(load_x87_cw, READ, EXACT, CPU_ALWAYS)                                                                            \
    X(load_mxcsr, READ, EXACT, CPU_ALWAYS)                                                                             \
    X(load_fxrstor, READ, PAGE, CPU_ALWAYS)                                                                            \
    X(load_xrstor, READ, PAGE, CPU_XSAVE)                                                                              \
    X(load_avx, READ, EXACT, CPU_AVX2)                                                                                 \
    X(load_gather, READ, EXACT, CPU_AVX2)                                                                              \
    X(load_avx512, READ, EXACT, CPU_AVX512)                                                                            \
    X(load_avx512_op, READ, EXACT, CPU_AVX512)                                                                         \
    X(load_fs, READ, EXACT, CPU_ALWAYS)                                                                                \
    X(load_gs, READ, EXACT, CPU_ALWAYS)

#define WRITE_FORMS(X)                                                                                                 \
    X(store_byte, WRITE, EXACT, CPU_ALWAYS)                                                                            \
    X(store_word, WRITE, EXACT, CPU_ALWAYS)                                                                            \
    X(store_constant, WRITE, EXACT, CPU_ALWAYS)                                                                        \
    X(store_indexed, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(store_nontemp, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(store_condition, WRITE, EXACT, CPU_ALWAYS)                                                                       \
    X(store_segment, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(push_register, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(push_constant, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(push_memory, WRITE, EXACT, CPU_ALWAYS)                                                                           \
    X(push_flags, WRITE, EXACT, CPU_ALWAYS)                                                                            \
    X(call_near, WRITE, EXACT, CPU_ALWAYS)                                                                             \
    X(call_register, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(enter_frame, WRITE, EXACT, CPU_ALWAYS)                                                                           \
    X(pop_to, WRITE, EXACT, CPU_ALWAYS)                                                                                \
    X(store_string, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(store_string_rep, WRITE, EXACT, CPU_ALWAYS)                                                                      \
    X(move_to, WRITE, EXACT, CPU_ALWAYS)                                                                               \
    X(move_to_rep, WRITE, EXACT, CPU_ALWAYS)                                                                           \
    X(store_sse, WRITE, EXACT, CPU_ALWAYS)                                                                             \
    X(store_sse_low, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(store_sse_nt, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(store_masked, WRITE, PAGE, CPU_ALWAYS)                                                                           \
    X(store_x87, WRITE, EXACT, CPU_ALWAYS)                                                                             \
    X(store_x87_int, WRITE, EXACT, CPU_ALWAYS)                                                                         \
    X(store_x87_cw, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(store_x87_all, WRITE, PAGE, CPU_ALWAYS)                                                                          \
    X(store_mxcsr, WRITE, EXACT, CPU_ALWAYS)                                                                           \
    X(store_fxsave, WRITE, PAGE, CPU_ALWAYS)                                                                           \
    X(store_xsave, WRITE, PAGE, CPU_XSAVE)                                                                             \
    X(store_avx, WRITE, EXACT, CPU_AVX2)                                                                               \
    X(store_avx_mask, WRITE, EXACT, CPU_AVX2)                                                                          \
    X(store_avx512, WRITE, EXACT, CPU_AVX512)                                                                          \
    X(store_avx512_k, WRITE, EXACT, CPU_AVX512)                                                                        \
    X(store_scatter, WRITE, EXACT, CPU_AVX512)                                                                         \
    X(store_fs, WRITE, EXACT, CPU_ALWAYS)                                                                              \
    X(store_gs, WRITE, EXACT, CPU_ALWAYS)

#define UPDATE_FORMS(X)                                                                                                \
    X(add_to, WRITE, EXACT, CPU_ALWAYS)                                                                                \
    X(or_to, WRITE, EXACT, CPU_ALWAYS)                                                                                 \
    X(increment, WRITE, EXACT, CPU_ALWAYS)                                                                             \
    X(increment_lock, WRITE, EXACT, CPU_ALWAYS)                                                                        \
    X(negate, WRITE, EXACT, CPU_ALWAYS)                                                                                \
    X(shift, WRITE, EXACT, CPU_ALWAYS)                                                                                 \
    X(shift_double, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(bit_set, WRITE, EXACT, CPU_ALWAYS)                                                                               \
    X(bit_reset_lock, WRITE, EXACT, CPU_ALWAYS)                                                                        \
    X(exchange, WRITE, EXACT, CPU_ALWAYS)                                                                              \
    X(exchange_add, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(compare_swap, WRITE, EXACT, CPU_ALWAYS)                                                                          \
    X(compare_swap_no, WRITE, EXACT, CPU_ALWAYS)                                                                       \
    X(compare_swap_16, WRITE, EXACT, CPU_CX16)

/* These touch nothing. */
#define HINT_FORMS(X)                                                                                                  \
    X(hint_prefetch, NONE, EXACT, CPU_ALWAYS)                                                                          \
    X(hint_prefetchw, NONE, EXACT, CPU_ALWAYS)                                                                         \
    X(hint_lea, NONE, EXACT, CPU_ALWAYS)                                                                               \
    X(hint_nop, NONE, EXACT, CPU_ALWAYS)

#endif
