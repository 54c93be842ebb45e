/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that ask: a call that may be answered without an event. See answers.h for what each does. */
#include "guest.inc"

.set ASKED_NUMBER, 110 /* getppid: what ASKED_CALL is in C */

.macro ASK
    mov $ASKED_NUMBER, %eax
    syscall
.endm

GUEST ask_and_tell
1:  ASK
    mov %rax, %rdi
    CALL
    jmp 1b
END_GUEST ask_and_tell

GUEST ask_then_tell
1:  ASK
    CALL
    jmp 1b
END_GUEST ask_then_tell

GUEST ask_times
1:  mov %rdi, %rbx
2:  ASK
    dec %rbx
    jnz 2b
    mov %rax, %rdi
    CALL
    jmp 1b
END_GUEST ask_times

GUEST ask_counting
1:  ASK
    mov %rax, 8(%rdi)
    lock incq (%rdi)
    jmp 1b
END_GUEST ask_counting

GUEST ask_checked
1:  ASK
    mov %eax, %edx
    mov %rax, %rbx
    shr $32, %rbx
    cmp %edx, %ebx
    je 1b
    ud2
END_GUEST ask_checked

/* Sets the flags from the word at rbx, asks, stores those behind it in the next word and tells. */
GUEST ask_flags
1:  pushq (%rbx)
    popfq
    ASK
    pushfq
    popq 8(%rbx)
    /* A set alignment flag would make traps of what follows. */
    pushq $2
    popfq
    CALL
    jmp 1b
END_GUEST ask_flags
