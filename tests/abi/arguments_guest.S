/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Position-independent guest code; arguments.h names the addresses it is mapped at. */
    .section .rodata
    .global arguments_guest
    .global arguments_guest_end
    .balign 16
arguments_guest:
#if defined(__x86_64__)
1:  syscall
    jmp 1b
    .org arguments_guest + 0x100
    movb $1, (%rdi)
2:  jmp 2b
#elif defined(__aarch64__)
1:  svc #0
    b 1b
    .org arguments_guest + 0x100
    mov w1, #1
    strb w1, [x0]
2:  b 2b
#endif
arguments_guest_end:
    .section .note.GNU-stack, "", %progbits
