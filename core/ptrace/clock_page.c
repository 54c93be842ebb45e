/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_file.h"
#include "core/ptrace/clock_memory.h"
#include "core/ptrace/clock_page.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/tracer.h"
#include "core/stub_vdso.h"

/* In the place of its mother's, which a copy has at first. */
static int map_in_stub(struct stub_thread *thread, int file)
{
    const struct tg_platform *platform = thread->subprocess->base.platform;
    const struct ptrace_platform *pp = ptrace_platform(platform);
    const uint64_t page = platform->info.page_size;
    struct arch_stub_request request = {
        .job = ARCH_STUB_CALL,
        .stub_start = pp->stub_start,
        .call = {.nr = tgi_arch.syscalls.mmap,
                 .args = {stub_vdso_clocks(pp->vdso_room, page), page, PROT_READ, MAP_SHARED | MAP_FIXED,
                          (uint32_t)file, 0}},
    };
    tg_regs after;
    int64_t result;
    int err;

    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    err = stub_thread_inject(thread, &request, &after);
    if (err)
        return err;
    result = tgi_arch_ptrace->stub_result(&after);
    return result < 0 && result >= -4095 ? (int)result : 0;
}

/* Sealed when both have mapped it: nobody else can write to it. */
static int map_both(struct tracer *tracer, struct ptrace_subprocess *subprocess, int file)
{
    struct stub_thread *thread;
    int err = clock_memory_map(subprocess, file);

    if (!err)
        err = tracer_acquire(tracer, subprocess, NULL, &thread);
    if (err)
        return err;
    err = map_in_stub(thread, file);
    tracer_release(thread);
    return err ? err : memory_file_seal(file);
}

int clock_page_create(struct tracer *tracer, struct ptrace_subprocess *subprocess)
{
    const struct tg_platform *platform = subprocess->base.platform;
    const char *call;
    int file;
    int err;

    if (platform->info.vdso_kind != TG_VDSO_OWN)
        return 0;
    file = memory_file_create("trapgate-clocks", platform->info.page_size, &call);
    if (file < 0)
        return file;
    err = map_both(tracer, subprocess, file);
    close(file);
    return err;
}

int clock_page_failed(struct tg_platform *platform, const struct tg_subprocess *from, int err)
{
    switch (err) {
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return subprocess_create_failed(platform, from, "", err);
    case -EFBIG:
        return platform_fail(platform, -EAGAIN,
                             "create a subprocess: RLIMIT_FSIZE is below a page, which the clocks of its guests take");
    default:
        return platform_fail(platform, err == -EPERM ? err : -EIO,
                             "create a subprocess: the page of clocks of its guests: %s; allow memfd_create(2), "
                             "ftruncate(2) and mmap(2), or open without TG_OPEN_VDSO_OWN",
                             strerror(-err));
    }
}

bool clock_page_possible(const struct tg_platform *platform)
{
    const char *call;
    int file = memory_file_create("trapgate-clocks", platform->info.page_size, &call);

    if (file < 0)
        return false;
    close(file);
    return true;
}
