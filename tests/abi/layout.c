/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Prints where every field of every public struct lies. ctest compares the
 * text with layout_<cpu>.txt: a difference is a break for programs that are
 * already compiled.
 */
#include <stdio.h>
#include <string.h>

#include <trapgate/trapgate.h>

struct field {
    const char *struct_name;
    size_t struct_size;
    const char *name;
    size_t offset;
    size_t size;
};

#define FIELD(type, name)                                                                                              \
    {                                                                                                                  \
#type, sizeof(type), #name, offsetof(type, name), sizeof(((type *)0)->name)                                    \
    }

static const struct field fields[] = {
    FIELD(tg_platform_options, size),
    FIELD(tg_platform_options, backend),
    FIELD(tg_platform_options, flags),
    FIELD(tg_platform_options, message),
    FIELD(tg_platform_options, message_capacity),
    FIELD(tg_platform_options, spin_ns),
    FIELD(tg_probe, size),
    FIELD(tg_probe, backend),
    FIELD(tg_probe, available),
    FIELD(tg_probe, error),
    FIELD(tg_probe, step),
    FIELD(tg_probe, reason),
    FIELD(tg_probe, remedy),
    FIELD(tg_range, start),
    FIELD(tg_range, end),
    FIELD(tg_info, size),
    FIELD(tg_info, backend),
    FIELD(tg_info, arch),
    FIELD(tg_info, page_size),
    FIELD(tg_info, user_start),
    FIELD(tg_info, user_end),
    FIELD(tg_info, fpstate_size),
    FIELD(tg_info, capabilities),
    FIELD(tg_info, reserved_count),
    FIELD(tg_info, pad),
    FIELD(tg_info, reserved),
    FIELD(tg_info, user_end_min),
    FIELD(tg_info, vdso),
    FIELD(tg_info, vdso_kind),
    FIELD(tg_info, vdso_pad),
    FIELD(tg_stats, size),
    FIELD(tg_stats, pad),
    FIELD(tg_stats, subprocesses),
    FIELD(tg_stats, stub_threads),
    FIELD(tg_stats, contexts),
    FIELD(tg_stats, switches),
    FIELD(tg_stats, syscalls),
    FIELD(tg_stats, faults),
    FIELD(tg_stats, exceptions),
    FIELD(tg_stats, interrupts),
    FIELD(tg_stats, deaths),
    FIELD(tg_stats, injections),
    FIELD(tg_stats, fpstate_saves),
    FIELD(tg_stats, fpstate_loads),
    FIELD(tg_stats, placements),
    FIELD(tg_stats, releases),
    FIELD(tg_stats, preemptions),
    FIELD(tg_stats, spurious_stops),
    FIELD(tg_stats, patched_calls),
    FIELD(tg_stats, unpatched_calls),
    FIELD(tg_stats, patch_sites),
    FIELD(tg_stats, patch_sites_before),
    FIELD(tg_stats, patch_sites_after),
    FIELD(tg_stats, patch_refusals),
    FIELD(tg_stats, failed_spins),
    FIELD(tg_stats, futex_sleeps),
    FIELD(tg_stats, futex_wakes),
    FIELD(tg_stats, stub_spins),
    FIELD(tg_stats, stub_sleeps),
    FIELD(tg_stats, switch_latency),
    FIELD(tg_stats, resume_latency),
    FIELD(tg_stats, event_latency),
    FIELD(tg_stats, worker_copies),
    FIELD(tg_stats, answered_calls),
    FIELD(tg_mem_op, size),
    FIELD(tg_mem_op, kind),
    FIELD(tg_mem_op, addr),
    FIELD(tg_mem_op, length),
    FIELD(tg_mem_op, prot),
    FIELD(tg_mem_op, flags),
    FIELD(tg_mem_op, fd),
    FIELD(tg_mem_op, advice),
    FIELD(tg_mem_op, offset),
    FIELD(tg_bring, size),
    FIELD(tg_bring, kind),
    FIELD(tg_bring, nr),
    FIELD(tg_bring, arg),
    FIELD(tg_bring, length_arg),
    FIELD(tg_bring, max),
    FIELD(tg_bring, flags),
    FIELD(tg_clock, size),
    FIELD(tg_clock, clock),
    FIELD(tg_clock, kind),
    FIELD(tg_clock, flags),
    FIELD(tg_clock, base_counter),
    FIELD(tg_clock, base_ns),
    FIELD(tg_clock, multiplier),
    FIELD(tg_host_clock, size),
    FIELD(tg_host_clock, clock),
    FIELD(tg_host_clock, counter),
    FIELD(tg_host_clock, ns),
    FIELD(tg_host_clock, slope),
    FIELD(tg_host_clock, guest_ns),
    FIELD(tg_host_clock, multiplier),
    FIELD(tg_host_clock, error_ns),
    FIELD(tg_transfer, size),
    FIELD(tg_transfer, kind),
    FIELD(tg_transfer, addr),
    FIELD(tg_transfer, buffer),
    FIELD(tg_transfer, length),
    FIELD(tg_transfer, done),
    FIELD(tg_event_syscall, nr),
    FIELD(tg_event_syscall, args),
    FIELD(tg_event_syscall, ip),
    FIELD(tg_event_fault, addr),
    FIELD(tg_event_fault, ip),
    FIELD(tg_event_fault, access),
    FIELD(tg_event_fault, signo),
    FIELD(tg_event_fault, code),
    FIELD(tg_event_fault, trap),
    FIELD(tg_event_fault, error_code),
    FIELD(tg_event_exception, addr),
    FIELD(tg_event_exception, ip),
    FIELD(tg_event_exception, signo),
    FIELD(tg_event_exception, code),
    FIELD(tg_event_exception, trap_errno),
    FIELD(tg_event_exception, trap),
    FIELD(tg_event_exception, error_code),
    FIELD(tg_event_dead, reason),
    FIELD(tg_event_dead, status),
    FIELD(tg_event, size),
    FIELD(tg_event, kind),
    FIELD(tg_event, flags),
    FIELD(tg_event, arch),
    FIELD(tg_event, context),
    FIELD(tg_event, user_data),
    FIELD(tg_event, u),
    FIELD(tg_regs, size),
    FIELD(tg_regs, arch),
#if defined(__x86_64__)
    FIELD(tg_regs, r15),
    FIELD(tg_regs, r14),
    FIELD(tg_regs, r13),
    FIELD(tg_regs, r12),
    FIELD(tg_regs, rbp),
    FIELD(tg_regs, rbx),
    FIELD(tg_regs, r11),
    FIELD(tg_regs, r10),
    FIELD(tg_regs, r9),
    FIELD(tg_regs, r8),
    FIELD(tg_regs, rax),
    FIELD(tg_regs, rcx),
    FIELD(tg_regs, rdx),
    FIELD(tg_regs, rsi),
    FIELD(tg_regs, rdi),
    FIELD(tg_regs, orig_rax),
    FIELD(tg_regs, rip),
    FIELD(tg_regs, cs),
    FIELD(tg_regs, eflags),
    FIELD(tg_regs, rsp),
    FIELD(tg_regs, ss),
    FIELD(tg_regs, fs_base),
    FIELD(tg_regs, gs_base),
    FIELD(tg_regs, ds),
    FIELD(tg_regs, es),
    FIELD(tg_regs, fs),
    FIELD(tg_regs, gs),
#elif defined(__aarch64__)
    FIELD(tg_regs, x),
    FIELD(tg_regs, sp),
    FIELD(tg_regs, pc),
    FIELD(tg_regs, pstate),
    FIELD(tg_regs, tpidr_el0),
#endif
};

static const size_t field_count = sizeof(fields) / sizeof(fields[0]);

/* The structs have no padding, so a field that is missing above leaves a gap. */
static int field_follows(size_t i)
{
    size_t expected = 0;
    if (i > 0 && strcmp(fields[i].struct_name, fields[i - 1].struct_name) == 0)
        expected = fields[i - 1].offset + fields[i - 1].size;
    return fields[i].offset == expected;
}

static int field_is_last(size_t i)
{
    return i + 1 == field_count || strcmp(fields[i].struct_name, fields[i + 1].struct_name) != 0;
}

int main(void)
{
    int incomplete = 0;
    for (size_t i = 0; i < field_count; i++) {
        const struct field *field = &fields[i];
        printf("%s.%s offset %zu size %zu\n", field->struct_name, field->name, field->offset, field->size);
        if (!field_follows(i) || (field_is_last(i) && field->offset + field->size != field->struct_size)) {
            fprintf(stderr, "layout.c does not list every field around %s.%s\n", field->struct_name, field->name);
            incomplete = 1;
        }
        if (field_is_last(i))
            printf("%s size %zu\n", field->struct_name, field->struct_size);
    }
    printf("tg_event_data size %zu\n", sizeof(tg_event_data));
    return incomplete;
}
