/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/filter_program.h"

int filter_add_rules(scmp_filter_ctx filter, const struct filter_rule *rules, size_t n)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i++)
        err = seccomp_rule_add_array(filter, rules[i].action, rules[i].nr, rules[i].count, rules[i].args);
    return err;
}

int filter_allow_calls(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);

        /* The filter's default allows already. */
        if (err && err != -EACCES)
            return err;
    }
    return 0;
}

/* What libseccomp wrote into the file; all jumps are relative, so it runs behind any prefix. */
static int read_program(int fd, const struct sock_filter *prefix, size_t prefix_length, struct sock_fprog *program)
{
    const size_t prefix_size = prefix_length * sizeof(*prefix);
    struct sock_filter *instructions;
    struct stat file;
    size_t length;

    if (fstat(fd, &file))
        return -errno;
    length = prefix_length + (size_t)file.st_size / sizeof(*instructions);
    if (length > BPF_MAXINSNS)
        return -E2BIG;
    instructions = malloc(prefix_size + (size_t)file.st_size);
    if (!instructions)
        return -ENOMEM;
    if (prefix_length)
        memcpy(instructions, prefix, prefix_size);
    if (pread(fd, instructions + prefix_length, (size_t)file.st_size, 0) != file.st_size) {
        free(instructions);
        return -EIO;
    }
    program->filter = instructions;
    program->len = (unsigned short)length;
    return 0;
}

int filter_program_export(scmp_filter_ctx filter, const struct sock_filter *prefix, size_t prefix_length,
                          struct sock_fprog *program)
{
    int err;
    int fd;

    *program = (struct sock_fprog){0};
    fd = descriptor_memfd("trapgate-filter", 0);
    if (fd < 0)
        return fd;
    err = seccomp_export_bpf(filter, fd);
    if (!err)
        err = read_program(fd, prefix, prefix_length, program);
    close(fd);
    return err;
}
