/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The linked stub as read-only bytes of the library. */
        .section .rodata
        .globl  tgi_stub_blob
        .hidden tgi_stub_blob
        .globl  tgi_stub_blob_end
        .hidden tgi_stub_blob_end
        .balign 16
tgi_stub_blob:
        .incbin STUB_BLOB_FILE
tgi_stub_blob_end:
        .section .note.GNU-stack, "", %progbits
