/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A program outside of the tree that knows only the installed files: opens a
 * platform, makes an address space, writes to it and reads the bytes back.
 */
#include <stdio.h>
#include <string.h>

#include <trapgate/trapgate.h>

#define SKIPPED 77

static int fail(const char *step, int error)
{
    fprintf(stderr, "consumer: %s: %s\n", step, tg_strerror(error));
    return 1;
}

static int write_and_read_back(tg_platform *platform, tg_subprocess *subprocess)
{
    static const char sent[] = "through the installed library";
    char received[sizeof(sent)] = {0};
    tg_info info = {.size = sizeof(info)};
    int error = tg_platform_info(platform, &info);
    if (error)
        return fail("info", error);

    uint64_t page = info.user_start + 16 * (uint64_t)info.page_size;
    error = tg_subprocess_map(subprocess, page, info.page_size, TG_PROT_READ | TG_PROT_WRITE, 0, -1, 0);
    if (error)
        return fail("map", error);
    error = tg_subprocess_write(subprocess, page, sent, sizeof(sent), NULL);
    if (error)
        return fail("write", error);
    error = tg_subprocess_read(subprocess, page, received, sizeof(received), NULL);
    if (error)
        return fail("read", error);
    if (memcmp(sent, received, sizeof(sent)) != 0) {
        fprintf(stderr, "consumer: read something else than was written\n");
        return 1;
    }
    return 0;
}

static int use(tg_platform *platform)
{
    tg_subprocess *subprocess = NULL;
    int error = tg_subprocess_create(platform, &subprocess);
    if (error)
        return fail("create", error);
    int status = write_and_read_back(platform, subprocess);
    tg_subprocess_destroy(subprocess);
    return status;
}

int main(void)
{
    if (tg_abi_version() != TG_ABI_VERSION) {
        fprintf(stderr, "consumer: header and library disagree about the ABI version\n");
        return 1;
    }
    tg_probe probe = {.size = sizeof(probe)};
    int error = tg_platform_probe(TG_BACKEND_PTRACE, &probe);
    if (error)
        return fail("probe", error);
    if (!probe.available) {
        printf("consumer: %s: %s; %s\n", probe.step, probe.reason, probe.remedy);
        return SKIPPED;
    }
    tg_platform_options options = {.size = sizeof(options), .backend = TG_BACKEND_PTRACE};
    tg_platform *platform = NULL;
    error = tg_platform_open(&options, &platform);
    if (error)
        return fail("open", error);
    int status = use(platform);
    tg_platform_close(platform);
    return status;
}
