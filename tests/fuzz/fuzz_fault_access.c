/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a faulting instruction did, decoded from bytes that the guest chose:
 * the answer is one access or "unknown", and only the instruction is read. And
 * which exception a signal with that code stands for; that may also look
 * whether there is a byte where the fault was.
 *
 * Input: flags, how many bytes can be read, 15 bytes of code, the address of
 * the fault, then the registers.
 */
#include <string.h>

#include "arch/arch_ptrace.h"
#include "fuzz_target.h"

#define CODE_MAX         15
#define FLAG_EXECUTABLE  1
#define FLAG_NEAR_CODE   2 /* the address counts from the instruction */
#define FLAG_NEAR_MEMORY 4 /* the address counts from the first register */

struct code {
    uint64_t ip;
    uint64_t fault;
    bool fault_is_looked_at;
    size_t readable;
    uint8_t bytes[CODE_MAX];
    bool executable;
};

static size_t read_code(void *argument, uint64_t addr, void *buffer, size_t length)
{
    const struct code *code = argument;
    INVARIANT(length <= CODE_MAX);
    if (code->fault_is_looked_at && addr == code->fault && length == 1) {
        memset(buffer, 0, length);
        return code->readable > 0;
    }
    INVARIANT(addr == code->ip);
    const size_t count = length < code->readable ? length : code->readable;
    memcpy(buffer, code->bytes, count);
    return count;
}

static bool code_is_executable(void *argument, uint64_t addr)
{
    const struct code *code = argument;
    (void)addr;
    return code->executable;
}

static tg_regs take_registers(struct input *input)
{
    tg_regs regs;
    unsigned char *bytes = (unsigned char *)&regs;
    memset(&regs, 0, sizeof(regs));
    tgi_arch.regs_init(&regs);
    for (size_t offset = 2 * sizeof(uint32_t); offset < sizeof(regs) && input->left > 0; offset += sizeof(uint64_t)) {
        const uint64_t value = take_number(input, sizeof(uint64_t));
        memcpy(bytes + offset, &value, sizeof(value));
    }
    return regs;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

/* Whatever the signal and the code are, an exception follows from them, and it is said to be derived. */
static void check_exception(const tg_regs *regs, uint64_t addr, uint32_t access, const struct arch_guest *guest)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        const siginfo_t info = {
            .si_signo = signals[i], .si_code = addr & 1 ? SI_KERNEL : (int)(addr >> 8 & 15), .si_addr = (void *)addr};
        const struct arch_exception exception = tgi_arch_ptrace->derive_exception(regs, &info, access, guest);
        INVARIANT(exception.flags == (TG_FLAG_TRAP | TG_FLAG_TRAP_DERIVED));
        INVARIANT(exception.number < 32 && exception.error_code < 1 << 16);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct code code = {0};
    const uint64_t flags = take_number(&input, 1);
    code.executable = flags & FLAG_EXECUTABLE;
    code.readable = take_number(&input, 1) % (CODE_MAX + 1);
    for (size_t i = 0; i < CODE_MAX; i++)
        code.bytes[i] = (uint8_t)take_number(&input, 1);
    uint64_t addr = take_number(&input, sizeof(uint64_t));
    const tg_regs regs = take_registers(&input);
    code.ip = tgi_arch.ip(&regs);
    if (flags & FLAG_NEAR_CODE)
        addr += code.ip;
    if (flags & FLAG_NEAR_MEMORY) {
        uint64_t first;
        memcpy(&first, (const unsigned char *)&regs + 2 * sizeof(uint32_t), sizeof(first));
        addr += first;
    }

    const struct arch_guest guest = {.read = read_code, .executable = code_is_executable, .arg = &code};
    const tg_regs before = regs;
    const uint32_t access = tgi_arch.fault_access(&regs, addr, &guest);
    INVARIANT(access == 0 || access == TG_ACCESS_READ || access == TG_ACCESS_WRITE || access == TG_ACCESS_EXEC);
    INVARIANT(access == tgi_arch.fault_access(&regs, addr, &guest));
    INVARIANT(memcmp(&before, &regs, sizeof(regs)) == 0);
    code.fault = addr;
    code.fault_is_looked_at = true;
    check_exception(&regs, addr, access, &guest);
    /* Code that cannot be read gives nothing to decode. */
    INVARIANT(code.readable > 0 || access == 0 || access == TG_ACCESS_EXEC);
    return 0;
}
