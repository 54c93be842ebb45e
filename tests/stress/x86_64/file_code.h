/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A call for ever, whose number is even, or one more when the lowest bit of a byte is set. */
#ifndef TESTS_STRESS_X86_64_FILE_CODE_H
#define TESTS_STRESS_X86_64_FILE_CODE_H

#define FILE_CODE_NUMBER 1000
#define FILE_CODE_BYTE   1
#define FILE_CODE_IP     7    /* behind the call */
#define FILE_CODE_FILLER 0x90 /* nop */

static const unsigned char file_code[] = {
    0xb8, 0xe8, 0x03, 0, 0, /* mov $1000,%eax */
    0x0f, 0x05,             /* syscall */
    0x48, 0x85, 0xc0,       /* test %rax,%rax */
    0x48, 0x85, 0xc0,       /* test %rax,%rax */
    0xeb, 0xf1,             /* jmp to the start */
};

#endif
