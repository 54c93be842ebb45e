// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sizes and offsets, checked when this crate is compiled: they are those that C programs have been compiled with.

use crate::*;
use std::mem::size_of;

/// `size` bytes that are zero but for the first byte of what lies at `offset`.
const fn marked<const SIZE: usize>(offset: usize) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[offset] = 1;
    bytes
}

#[repr(C)]
union Bytes<T: Copy, const SIZE: usize> {
    bytes: [u8; SIZE],
    value: T,
}

/// The first byte of a field's value.
const fn first_byte<T: Copy>(value: T) -> u8 {
    // SAFETY: every field has at least one byte, and none has padding.
    unsafe { Bytes::<T, 1> { value }.bytes[0] }
}

const fn size_of_value<T: Copy>(_: T) -> usize {
    size_of::<T>()
}

#[cfg(test)]
pub(crate) type Struct = (&'static str, usize, &'static [(&'static str, usize, usize)]);

/// A struct, its size, and each field with offset and size. `offset_of!` came with Rust 1.77, so a byte is set at the
/// offset and looked for in the field.
macro_rules! layout {
    ($($(#[$condition:meta])* $name:ident $size:literal { $($field:ident $offset:literal $field_size:literal,)* })*) => {
        $($(#[$condition])* const _: () = {
            assert!(size_of::<$name>() == $size);
            $({
                // SAFETY: integers and raw pointers may have any bytes.
                let field = unsafe { Bytes::<$name, $size> { bytes: marked($offset) }.value.$field };
                assert!(first_byte(field) == 1, concat!(stringify!($name), ".", stringify!($field), ": other offset"));
                assert!(size_of_value(field) == $field_size, concat!(stringify!($name), ".", stringify!($field), ": other size"));
            })*
        };)*
        /// The same for the comparison with the header: struct, size, and its fields with offset and size.
        #[cfg(test)]
        pub(crate) static LAYOUT: &[Struct] = &[
            $($(#[$condition])* (stringify!($name), $size, &[$((stringify!($field), $offset, $field_size),)*]),)*
        ];
    };
}

layout! {
    tg_platform_options 40 {
        size 0 4,
        backend 4 4,
        flags 8 8,
        message 16 8,
        message_capacity 24 8,
        spin_ns 32 8,
    }
    tg_probe 528 {
        size 0 4,
        backend 4 4,
        available 8 4,
        error 12 4,
        step 16 48,
        reason 64 208,
        remedy 272 256,
    }
    tg_range 16 {
        start 0 8,
        end 8 8,
    }
    tg_info 144 {
        size 0 4,
        backend 4 4,
        arch 8 4,
        page_size 12 4,
        user_start 16 8,
        user_end 24 8,
        fpstate_size 32 8,
        capabilities 40 8,
        reserved_count 48 4,
        pad 52 4,
        reserved 56 64,
        user_end_min 120 8,
        vdso 128 8,
        vdso_kind 136 4,
        vdso_pad 140 4,
    }
    tg_clock 40 {
        size 0 4,
        clock 4 4,
        kind 8 4,
        flags 12 4,
        base_counter 16 8,
        base_ns 24 8,
        multiplier 32 8,
    }
    tg_host_clock 56 {
        size 0 4,
        clock 4 4,
        counter 8 8,
        ns 16 8,
        slope 24 8,
        guest_ns 32 8,
        multiplier 40 8,
        error_ns 48 8,
    }
    tg_stats 1128 {
        size 0 4,
        pad 4 4,
        subprocesses 8 8,
        stub_threads 16 8,
        contexts 24 8,
        switches 32 8,
        syscalls 40 8,
        faults 48 8,
        exceptions 56 8,
        interrupts 64 8,
        deaths 72 8,
        injections 80 8,
        fpstate_saves 88 8,
        fpstate_loads 96 8,
        placements 104 8,
        releases 112 8,
        preemptions 120 8,
        spurious_stops 128 8,
        patched_calls 136 8,
        unpatched_calls 144 8,
        patch_sites 152 8,
        patch_sites_before 160 8,
        patch_sites_after 168 8,
        patch_refusals 176 128,
        failed_spins 304 8,
        futex_sleeps 312 8,
        futex_wakes 320 8,
        stub_spins 328 8,
        stub_sleeps 336 8,
        switch_latency 344 256,
        resume_latency 600 256,
        event_latency 856 256,
        worker_copies 1112 8,
        answered_calls 1120 8,
    }
    tg_mem_op 48 {
        size 0 4,
        kind 4 4,
        addr 8 8,
        length 16 8,
        prot 24 4,
        flags 28 4,
        fd 32 4,
        advice 36 4,
        offset 40 8,
    }
    tg_bring 32 {
        size 0 4,
        kind 4 4,
        nr 8 8,
        arg 16 4,
        length_arg 20 4,
        max 24 4,
        flags 28 4,
    }
    tg_transfer 40 {
        size 0 4,
        kind 4 4,
        addr 8 8,
        buffer 16 8,
        length 24 8,
        done 32 8,
    }
    tg_event_syscall 64 {
        nr 0 8,
        args 8 48,
        ip 56 8,
    }
    tg_event_fault 40 {
        addr 0 8,
        ip 8 8,
        access 16 4,
        signo 20 4,
        code 24 4,
        trap 28 4,
        error_code 32 8,
    }
    tg_event_exception 40 {
        addr 0 8,
        ip 8 8,
        signo 16 4,
        code 20 4,
        trap_errno 24 4,
        trap 28 4,
        error_code 32 8,
    }
    tg_event_dead 8 {
        reason 0 4,
        status 4 4,
    }
    tg_event 160 {
        size 0 4,
        kind 4 4,
        flags 8 4,
        arch 12 4,
        context 16 8,
        user_data 24 8,
        u 32 128,
    }
    #[cfg(target_arch = "x86_64")]
    tg_regs 224 {
        size 0 4,
        arch 4 4,
        r15 8 8,
        r14 16 8,
        r13 24 8,
        r12 32 8,
        rbp 40 8,
        rbx 48 8,
        r11 56 8,
        r10 64 8,
        r9 72 8,
        r8 80 8,
        rax 88 8,
        rcx 96 8,
        rdx 104 8,
        rsi 112 8,
        rdi 120 8,
        orig_rax 128 8,
        rip 136 8,
        cs 144 8,
        eflags 152 8,
        rsp 160 8,
        ss 168 8,
        fs_base 176 8,
        gs_base 184 8,
        ds 192 8,
        es 200 8,
        fs 208 8,
        gs 216 8,
    }
    tg_event_data 128 {
        syscall 0 64,
        fault 0 40,
        exception 0 40,
        dead 0 8,
        reserved 0 128,
    }
    #[cfg(target_arch = "aarch64")]
    tg_regs 288 {
        size 0 4,
        arch 4 4,
        x 8 248,
        sp 256 8,
        pc 264 8,
        pstate 272 8,
        tpidr_el0 280 8,
    }
}
