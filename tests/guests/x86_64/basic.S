/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The guests that every architecture has: see guests.h for what each does. */
#include "guest.inc"

GUEST call_loop
1:  CALL
    jmp 1b
END_GUEST call_loop

GUEST raw_call_loop
1:  syscall
    jmp 1b
END_GUEST raw_call_loop

GUEST counting_calls
    xor %edi, %edi
1:  inc %rdi
    CALL
    jmp 1b
END_GUEST counting_calls

GUEST echo_result
1:  CALL
    mov %rax, %rdi
    jmp 1b
END_GUEST echo_result

GUEST call_function
    mov %r9, %rbx
1:  callq *%rbx
    mov %rax, %rdi
    CALL
    jmp 1b
END_GUEST call_function

GUEST spin
1:  pause
    jmp 1b
END_GUEST spin

GUEST spin_counting
1:  lock incq (%rdi)
    jmp 1b
END_GUEST spin_counting

/* Two registers count up and two count down; the sum of each pair never changes between iterations. */
GUEST spin_registers
    xor %eax, %eax
    xor %ebx, %ebx
1:  lea 1(%rax), %rax
    lea -1(%rbx), %rbx
    jmp 1b
END_GUEST spin_registers

GUEST read_calls
1:  mov (%rdi), %rsi
    CALL
    jmp 1b
END_GUEST read_calls

GUEST write_calls
1:  mov %rsi, (%rdi)
    CALL
    jmp 1b
END_GUEST write_calls

GUEST read_then_write
    mov (%rdi), %rax
    mov %rsi, (%rdi)
    CALL
END_GUEST read_then_write

GUEST jump
    jmp *%rdi
END_GUEST jump

GUEST jump_by_return
    push %rdi
    ret
END_GUEST jump_by_return

/* Inverts every general register, then calls; rsp is inverted too. */
.macro INVERT_REGISTERS
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15
    not %\register
    .endr
.endm

GUEST invert_then_call
1:  INVERT_REGISTERS
    syscall
    jmp 1b
END_GUEST invert_then_call

/* Inverts every general register, then touches address 0. */
GUEST invert_then_fault
1:  INVERT_REGISTERS
GUEST_LABEL invert_then_fault_at
    mov %rax, 0
    jmp 1b
END_GUEST invert_then_fault

GUEST steps
    nop
    nop
    nop
GUEST_LABEL steps_call
    CALL
GUEST_LABEL steps_after_call
    nop
GUEST_LABEL steps_next
    nop
    nop
    CALL
END_GUEST steps

/* Waits until the word at arg 0 is not zero, then calls. */
GUEST wait_for_word
1:  pause
    cmpq $0, (%rdi)
    je 1b
    CALL
END_GUEST wait_for_word

/* Computes for arg 0 rounds, then calls, for ever. */
GUEST compute_calls
1:  mov %rdi, %rcx
2:  dec %rcx
    jnz 2b
    CALL
    jmp 1b
END_GUEST compute_calls
