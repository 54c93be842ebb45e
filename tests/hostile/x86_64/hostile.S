/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "guest.inc"

/*
 * Writes what it is told to: records of 32 bytes at rdi, rsi of them; the
 * words at rdx counts those that are done. A record (struct corruption of
 * storm.c): address, value, how many words of 4 bytes, pauses before, how often.
 */
GUEST corrupt
1:  test %rsi, %rsi
    jz 5f
    mov 20(%rdi), %ecx
2:  dec %ecx
    js 3f
    pause
    jmp 2b
3:  mov 24(%rdi), %r8d
4:  mov (%rdi), %r10
    mov 8(%rdi), %rax
    mov 16(%rdi), %ecx
6:  mov %eax, (%r10)
    ror $32, %rax
    add $4, %r10
    dec %ecx
    jnz 6b
    dec %r8d
    jnz 4b
    lock incq (%rdx)
    add $32, %rdi
    dec %rsi
    jmp 1b
5:  CALL
    jmp 5b
END_GUEST corrupt

/* Reads at rdi, and each rsi bytes from there, below rdx. */
GUEST touch
1:  mov (%rdi), %al
    add %rsi, %rdi
    cmp %rdx, %rdi
    jb 1b
2:  CALL
    jmp 2b
END_GUEST touch

/* Writes two words for ever: esi to rdi, r8d to rdx. */
GUEST keep_writing
1:  mov %esi, (%rdi)
    mov %r8d, (%rdx)
    jmp 1b
END_GUEST keep_writing

/* Makes r8d of the word at rdi whenever it is esi. */
GUEST claim_for_ever
1:  mov %esi, %eax
    lock cmpxchg %r8d, (%rdi)
    jmp 1b
END_GUEST claim_for_ever

/* Writes esi to a word at rdi and every rdx bytes from there, r8 times in all, then calls. */
GUEST write_stride
1:  mov %esi, (%rdi)
    add %rdx, %rdi
    dec %r8
    jnz 1b
    CALL
END_GUEST write_stride

/* The same without an end. */
GUEST keep_filling
2:  mov %rdi, %rax
    mov %r8, %rcx
1:  mov %esi, (%rax)
    add %rdx, %rax
    dec %rcx
    jnz 1b
    jmp 2b
END_GUEST keep_filling

/*
 * Writes rsi to the two words at rdi, and r10d to each word in turn of the
 * r8 + 1 from rdx on, without an end.
 */
GUEST keep_leaving
1:  mov %rsi, (%rdi)
    mov %r10d, (%rdx,%rcx,4)
    inc %rcx
    and %r8, %rcx
    jmp 1b
END_GUEST keep_leaving

/*
 * Calls for ever until r12 is not 0. Then it jumps for ever to the instruction
 * behind the call, which is a part of what the call was patched to: it traps
 * there, and goes on where the original is now.
 */
GUEST come_from_behind
1:  mov $CALL_NUMBER, %ebx
    mov %rbx, %rax
    syscall
2:  add $0x101, %r15
    test %r12, %r12
    jz 1b
    jmp 2b
END_GUEST come_from_behind

/* Returns from a signal that never was: the frame is at rsp, the call's instruction at rdi. */
GUEST forge_sigreturn
    mov $15, %eax
    jmp *%rdi
END_GUEST forge_sigreturn

/*
 * Says that there is a worker that sleeps, 1 to r12, and fills the r8 words of
 * a ring at rdx with r10d; then says for ever that it waits its turn there, esi
 * to the state of its slot at rdi, and that the ring moves, up with the head at
 * r9, where bits of r13 are set. Counts at rbx.
 */
GUEST seem_moving
    movl $1, (%r12)
1:  mov %r10d, (%rdx)
    add $4, %rdx
    dec %r8
    jnz 1b
    xor %eax, %eax
2:  mov %esi, (%rdi)
    inc %eax
    and %r13d, %eax
    mov %eax, (%r9)
    lock incq (%rbx)
    jmp 2b
END_GUEST seem_moving
