/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The programs that benchmarks and floors run. Position-independent, so that
 * the same bytes run as a bare tracee here and, copied, inside a guest.
 */
        .text

/* Calls getppid for ever; dies when an answer is not the expected one. */
        .globl  bench_syscall_loop
        .globl  bench_syscall_loop_end
        .type   bench_syscall_loop, @function
        .p2align 6
bench_syscall_loop:
1:      mov     $110, %eax
        syscall
        cmp     $42, %eax
        je      1b
        ud2
bench_syscall_loop_end:
        .size   bench_syscall_loop, . - bench_syscall_loop

/* Calls getppid, writes to the first argument, calls getppid, for ever. */
        .globl  bench_touch_loop
        .globl  bench_touch_loop_end
        .type   bench_touch_loop, @function
        .p2align 6
bench_touch_loop:
1:      mov     $110, %eax
        syscall
        movb    $1, (%rdi)
        mov     $110, %eax
        syscall
        jmp     1b
bench_touch_loop_end:
        .size   bench_touch_loop, . - bench_touch_loop

/* Reads address 0, and again whenever it is resumed. */
        .globl  bench_fault_loop
        .globl  bench_fault_loop_end
        .type   bench_fault_loop, @function
        .p2align 6
bench_fault_loop:
        xor     %edi, %edi
1:      mov     (%rdi), %eax
        jmp     1b
bench_fault_loop_end:
        .size   bench_fault_loop, . - bench_fault_loop

/* Computes for as many rounds as the first argument says, then calls getppid. */
        .globl  bench_compute
        .globl  bench_compute_end
        .type   bench_compute, @function
        .p2align 6
bench_compute:
1:      dec     %rdi
        jnz     1b
        mov     $110, %eax
        syscall
        ud2
bench_compute_end:
        .size   bench_compute, . - bench_compute

/*
 * Calls clock_gettime(CLOCK_MONOTONIC), the function at the first argument, a hundred
 * thousand times and then getppid, for ever. Its stack and the time are in the
 * first page at GUEST_DATA_ADDRESS.
 */
        .globl  bench_clock_loop
        .globl  bench_clock_loop_end
        .type   bench_clock_loop, @function
        .p2align 6
bench_clock_loop:
        mov     %rdi, %rbx
        mov     $0x50000f00, %esp
1:      mov     $100000, %ebp
2:      mov     $1, %edi
        mov     $0x50000f80, %esi
        call    *%rbx
        dec     %ebp
        jnz     2b
        mov     $110, %eax
        syscall
        jmp     1b
bench_clock_loop_end:
        .size   bench_clock_loop, . - bench_clock_loop

/* Calls gettid a hundred thousand times and then getppid, for ever; dies when the last answer is not the expected one. */
        .globl  bench_ask_loop
        .globl  bench_ask_loop_end
        .type   bench_ask_loop, @function
        .p2align 6
bench_ask_loop:
1:      mov     $100000, %ebp
        mov     %rdi, %rbx      /* which cannot be taken for the begin of a longer instruction */
2:      mov     $186, %eax
        syscall
        dec     %ebp
        jnz     2b
        cmp     $43, %eax
        jne     3f
        mov     $110, %eax
        syscall
        jmp     1b
3:      ud2
bench_ask_loop_end:
        .size   bench_ask_loop, . - bench_ask_loop

/* Where a bare tracee makes a system call that its tracer wants. */
        .globl  bench_injection_site
        .globl  bench_injection_site_end
        .type   bench_injection_site, @function
        .p2align 6
bench_injection_site:
        syscall
        int3
bench_injection_site_end:
        .size   bench_injection_site, . - bench_injection_site

/* Ends a signal handler: rt_sigreturn. */
        .globl  bench_restorer
        .globl  bench_restorer_end
        .type   bench_restorer, @function
        .p2align 6
bench_restorer:
        mov     $15, %eax
        syscall
bench_restorer_end:
        ud2
        .size   bench_restorer, . - bench_restorer

        .section .note.GNU-stack, "", @progbits
