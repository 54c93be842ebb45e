/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

/* Until the other end is closed. How many bytes, or -errno. */
static ssize_t read_all(int fd, void *buffer, size_t capacity)
{
    size_t length = 0;

    while (length < capacity) {
        ssize_t got = read(fd, (char *)buffer + length, capacity - length);

        if (got == 0)
            return (ssize_t)length;
        if (got < 0 && errno != EINTR)
            return -errno;
        length += got > 0 ? (size_t)got : 0;
    }
    return -E2BIG;
}

/*
 * libseccomp writes once, and as much as the pipe takes: full to the brim is
 * cut short. A file in memory would be a matter of RLIMIT_FSIZE, and of a
 * signal to the embedder.
 */
static ssize_t export_through_pipe(scmp_filter_ctx filter, void *buffer, size_t capacity)
{
    int ends[2];
    ssize_t length = descriptor_pipe(ends, O_NONBLOCK);
    long room;

    if (length < 0)
        return length;
    room = fcntl(ends[1], F_GETPIPE_SZ);
    length = seccomp_export_bpf(filter, ends[1]);
    close(ends[1]);
    if (length >= 0)
        length = read_all(ends[0], buffer, capacity);
    close(ends[0]);
    return length >= 0 && (length == room || length % (ssize_t)sizeof(struct sock_filter)) ? -E2BIG : length;
}

int filter_program_export(scmp_filter_ctx filter, const struct sock_filter *prefix, size_t prefix_length,
                          struct sock_fprog *program)
{
    const size_t size = (BPF_MAXINSNS + 1) * sizeof(*prefix);
    struct sock_filter *instructions = malloc(size);
    ssize_t length;

    *program = (struct sock_fprog){0};
    if (!instructions)
        return -ENOMEM;
    if (prefix_length)
        memcpy(instructions, prefix, prefix_length * sizeof(*prefix));
    /* All jumps are relative, so it runs behind any prefix. */
    length = export_through_pipe(filter, instructions + prefix_length, size - prefix_length * sizeof(*prefix));
    if (length < 0) {
        free(instructions);
        return (int)length;
    }
    program->filter = instructions;
    program->len = (unsigned short)(prefix_length + (size_t)length / sizeof(*prefix));
    return 0;
}

int filter_program_failed(struct open_report *report, int err)
{
    const char *step = "build the stub's seccomp filter";

    if (err == FILTER_NO_SECCOMP) {
        open_report_fill(
            report, step,
            "let the seccomp filter that is in the way allow seccomp(2); valgrind has no seccomp(2), so no "
            "platform can be opened under it",
            "seccomp(2) does not work here");
        return -EPERM;
    }
    /* What libseccomp says of a write that fails, whatever the reason. */
    return open_report_call(report, step, "pipe2(2), write(2) or read(2)", err == -ECANCELED ? -EPERM : err);
}
