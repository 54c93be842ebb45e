#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Writes the hand-made part of the corpora: one input for each thing that a target should know.

usage: make_corpus.py FOLDER
"""
import pathlib
import struct
import sys

PAGE = 4096
ET_EXEC, ET_DYN = 2, 3
X86_64, AARCH64 = 62, 183
LOAD, INTERP, STACK = 1, 3, 0x6474E551


def elf(programs, kind=ET_EXEC, machine=X86_64, entry=0x401000, phoff=64, phentsize=56, phnum=None, ident=b"\x7fELF\2\1\1"):
    count = len(programs) if phnum is None else phnum
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, kind, machine, 1, entry, phoff, 0, 0, 64, phentsize, count, 0, 0, 0)
    return header + b"".join(programs)


def program(kind, vaddr=0x400000, offset=0, filesz=0x1000, memsz=None, flags=5, align=PAGE):
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, filesz if memsz is None else memsz, align)


TEXT = program(LOAD)
DATA = program(LOAD, vaddr=0x402000, offset=0x2000, filesz=0x10, memsz=0x5000, flags=6)

ELF = {
    "static": elf([TEXT, DATA, program(STACK, flags=6)]),
    "pie_with_interpreter": elf([program(LOAD, vaddr=0), program(INTERP, filesz=28), program(STACK, flags=7)], ET_DYN, entry=0x100),
    "aarch64": elf([program(LOAD, align=65536, filesz=0x200)], machine=AARCH64),
    "truncated_header": elf([TEXT])[:40],
    "truncated_programs": elf([TEXT, DATA])[:150],
    "wrong_magic": elf([TEXT], ident=b"\x7fELG\2\1\1"),
    "wrong_class": elf([TEXT], ident=b"\x7fELF\1\1\1"),
    "programs_outside": elf([TEXT], phoff=2**64 - 8),
    "many_programs": elf([TEXT], phnum=0xFFFF),
    "seventy_segments": elf([program(LOAD, vaddr=0x10000 * i, offset=0) for i in range(1, 71)]),
    "no_segment": elf([program(STACK)]),
    "overlap": elf([TEXT, program(LOAD, vaddr=0x400800, offset=0x800)]),
    "descending": elf([DATA, TEXT]),
    "file_larger_than_memory": elf([program(LOAD, filesz=0x2000, memsz=0x1000)]),
    "wraps": elf([program(LOAD, vaddr=2**64 - PAGE, filesz=0, memsz=2 * PAGE)]),
    "top_of_memory": elf([program(LOAD, vaddr=0x7FFFFFFFE000, filesz=0x10, memsz=0x1000)]),
    "offset_not_congruent": elf([program(LOAD, offset=0x10)]),
    "offset_huge": elf([program(LOAD, offset=2**63 - PAGE, filesz=PAGE)]),
    "alignment_odd": elf([program(LOAD, align=3 * PAGE)]),
    "alignment_huge": elf([program(LOAD, align=2**63)], ET_DYN),
    "bss_only": elf([program(LOAD, filesz=0, memsz=0x1234)]),
    "interpreter_empty": elf([TEXT, program(INTERP, filesz=1)]),
    "interpreter_huge": elf([TEXT, program(INTERP, filesz=2**40)]),
    "headers_at_segment_end": elf([program(LOAD, filesz=64 + 56, memsz=64 + 56)]),
}

MAP, UNMAP, PROTECT, ADVISE = 1, 2, 3, 4


def op(kind, place=0, page=128, length=0, prot=3, flags=0, fd=0, advice=0, offset=0, skew=0):
    return bytes([kind, place, page, length, prot, flags, fd, advice, offset, skew])


def batch(*ops):
    return bytes([len(ops) - 1]) + b"".join(ops)


APPLY = {
    "map_protect_advise_unmap": batch(op(MAP, length=7), op(PROTECT, length=3, prot=1), op(ADVISE, length=1), op(UNMAP, length=7)),
    "full_batch": batch(*[op(MAP, page=128 + i) for i in range(64)]),
    "two_batches": batch(op(MAP, length=3)) + batch(op(UNMAP, page=129)),
    "shared_file": batch(op(MAP, length=7, flags=1, fd=1), op(ADVISE, advice=5)),
    "private_file_at_offset": batch(op(MAP, fd=1, offset=3), op(MAP, fd=2, prot=5, page=140)),
    "read_only_file_shared_for_writing": batch(op(MAP, page=130), op(MAP, flags=1, fd=2), op(MAP, page=131)),
    "pipe": batch(op(MAP, fd=3)),
    "closed_descriptor": batch(op(MAP, fd=4)),
    "negative_descriptor": batch(op(MAP, fd=5)),
    "no_replace": batch(op(MAP, length=3), op(MAP, flags=8, page=129)),
    "protect_a_hole": batch(op(MAP), op(PROTECT, length=3)),
    "populate_behind_file_end": batch(op(MAP, length=15, flags=3, fd=1), op(ADVISE, length=15, advice=6), op(ADVISE, length=15, advice=7)),
    "every_advice": batch(op(MAP, length=3), *[op(ADVISE, length=3, advice=i) for i in range(10)]),
    "wrong_advice": batch(op(MAP, length=3), *[op(ADVISE, length=3, advice=i) for i in range(10, 16)]),
    "kind_0_and_5": batch(op(MAP), op(0), op(5)),
    "stub_from_below": batch(op(UNMAP, place=7, page=127, length=1)),
    "stub_itself": batch(op(MAP, place=7, length=0)),
    "stub_end": batch(op(PROTECT, place=8, page=127)),
    "below_user_memory": batch(op(MAP, place=4), op(MAP, place=5, page=127, length=1)),
    "above_user_memory": batch(op(MAP, place=6, page=127, length=1), op(UNMAP, place=10)),
    "wraps": batch(op(UNMAP, place=9, length=68)),
    "length_0": batch(op(MAP, length=64)),
    "odd_length": batch(op(MAP, length=65), op(UNMAP, length=67)),
    "odd_address": batch(op(MAP, skew=33)),
    "odd_offset": batch(op(MAP, fd=1, skew=34)),
    "unknown_prot_and_flags": batch(op(MAP, prot=8)) + batch(op(MAP, flags=16)) + batch(op(PROTECT, prot=15)),
}

# Order of the registers behind size and arch in tg_regs of x86-64.
ORDER = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base".split()
IP = 0x400000


def fault(code, addr, readable=15, executable=1, **registers):
    values = dict(rip=IP, cs=0x33, ss=0x2B, rsp=0x20000, **{})
    values.update(registers)
    head = bytes([executable, readable]) + bytes.fromhex(code).ljust(15, b"\x90") + struct.pack("<Q", addr)
    return head + b"".join(struct.pack("<Q", values.get(name, 0)) for name in ORDER)


FAULT = {
    "load": fault("488b07", 0x1000, rdi=0x1000),
    "store": fault("488907", 0x1000, rdi=0x1000),
    "add_to_memory": fault("480107", 0x1000, rdi=0x1000),
    "push": fault("50", 0x20000 - 8),
    "pop": fault("58", 0x20000),
    "call": fault("e800000000", 0x20000 - 8),
    "push_from_memory": fault("ff37", 0x1000, rdi=0x1000),
    "movs": fault("f348a5", 0x2000, rsi=0x1000, rdi=0x2000, rcx=4),
    "stos": fault("f3aa", 0x2000, rdi=0x2000, rcx=4),
    "cmpxchg": fault("f0480fb10f", 0x1000, rdi=0x1000),
    "lea_is_no_access": fault("488d07", 0x1000, rdi=0x1000),
    "prefetch": fault("0f180f", 0x1000, rdi=0x1000),
    "segment": fault("6448890425 10000000".replace(" ", ""), 0x7010, fs_base=0x7000),
    "rip_relative": fault("488b05 00100000".replace(" ", ""), IP + 7 + 0x1000),
    "gather": fault("c4e26d920c07", 0x1000, rdi=0x1000),
    "scatter": fault("62f27d49a004 07".replace(" ", ""), 0x1000, rdi=0x1000),
    "xsave": fault("0fae27", 0x1100, rdi=0x1000),
    "address_size_override": fault("678b07", 0x1000, rdi=0x100001000),
    "compat_segment": fault("8b07", 0x1000, rdi=0x1000, cs=0x23),
    "not_executable": fault("488907", IP, executable=0, rdi=IP),
    "crosses_a_page": fault("4889", 0x401000, readable=2, rip=0x400FFE),
    "unreadable": fault("", IP, readable=0),
    "invalid": fault("0f0b", 0x1000),
    "too_many_prefixes": fault("66" * 15, 0x1000),
    "far_call": fault("ff1f", 0x1000, rdi=0x1000),
    "fxrstor": fault("0fae0f", 0x1100, rdi=0x1000),
    "string_compare": fault("f3a6", 0x2000, rsi=0x1000, rdi=0x2000, rcx=4),
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, inputs in (("elf_plan", ELF), ("apply", APPLY), ("fault_access", FAULT)):
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / name).write_bytes(data)


main()
