/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The stub's own code: nobody changes or unmaps it, not even the stub, where
 * the kernel can seal pages. Its file: nobody writes to it but through the
 * mappings that were there from the start, whoever gets hold of a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch.h"
#include "guests.h"
#include "hostile.h"
#include "proc.h"
#include "region.h"

GUEST_DECLARE(touch);

#define FILES_MAX        64
#define TEMPLATE_AND_TWO 3
#define MANY_SLOTS       60000
#define FEW_SLOTS        64
#define SMALL_KIB        2048

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* The first mapping that is the library's is the stub's code; what its VmFlags say. */
static bool code_is_sealed(pid_t pid, uint64_t user_end)
{
    unsigned long long start;
    char permissions[5] = "";
    bool found = false;
    char path[64];
    char line[256];
    FILE *smaps;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    smaps = fopen(path, "re");
    CHECK(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (!found && sscanf(line, "%llx-%*x %4s", &start, permissions) == 2)
            found = start >= user_end;
        else if (found && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    fclose(smaps);
    CHECK(found);
    CHECK(strcmp(permissions, "r-xp") == 0);
    return strstr(line, " sl") != NULL;
}

void hostile_sealed(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;
    uint64_t user_end;

    if (syscall(SYS_mseal, 0, 0, 0) != 0)
        SKIP("this kernel has no mseal(2)");
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    user_end = platform_info(guest.platform).user_end;
    CHECK(code_is_sealed(tg_subprocess_pid(guest.subprocess), user_end));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    CHECK(code_is_sealed(tg_subprocess_pid(copy), user_end));
    GUEST_RUN_TO_CALL(&guest);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

/* This program makes no file in memory itself. */
static bool is_stub_file(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

static void check_cannot_be_written(const struct guest *guest, int fd)
{
    const uint64_t order = 0;
    void *mapped;

    check_context("descriptor %d", fd);
    CHECK_EQ(pwrite(fd, &order, sizeof(order), 0x10000), -1);
    CHECK_EQ(errno, EPERM);
    CHECK_EQ(ftruncate(fd, 0), -1);
    CHECK_EQ(errno, EPERM);
    mapped = mmap(NULL, guest->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x10000);
    CHECK(mapped == MAP_FAILED);
    mapped = CHECK_SYSTEM(mmap(NULL, guest->page, PROT_READ, MAP_SHARED, fd, 0x10000));
    CHECK_EQ(mprotect(mapped, guest->page, PROT_READ | PROT_WRITE), -1);
    CHECK_SYSTEM(munmap(mapped, guest->page));
    CHECK_RESULT(tg_subprocess_map(guest->subprocess, GUEST_HOLE_AT, guest->page, PROT_RW, TG_MAP_SHARED, fd, 0x10000),
                 -EPERM);
}

static size_t shared_memory_kib(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    CHECK(proc_field(path, "Pid:") == (size_t)pid);
    return proc_field(path, "RssShmem:");
}

/* Whatever it touches, it has no more memory of the library's than the contexts that ran in it need. */
void hostile_file_small(uint32_t backend)
{
    struct guest guest;
    struct region region;

    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(touch));
    region = region_of(guest.platform, guest.subprocess);
    arch_set_argument(guest.context, 0, region_slot(&region, 0));
    arch_set_argument(guest.context, 1, guest.page);
    arch_set_argument(guest.context, 2, region_slot(&region, MANY_SLOTS));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK_EQ(guest.event.u.fault.signo, SIGBUS);
    CHECK(guest.event.u.fault.addr < region_slot(&region, FEW_SLOTS));
    CHECK(shared_memory_kib(tg_subprocess_pid(guest.subprocess)) < SMALL_KIB);
    guest_close(&guest);
}

void hostile_file_sealed(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;
    size_t files = 0;

    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    for (int fd = 0; fd < FILES_MAX; fd++) {
        if (!is_stub_file(fd))
            continue;
        check_cannot_be_written(&guest, fd);
        files++;
    }
    check_context(" ");
    CHECK_EQ(files, TEMPLATE_AND_TWO);
    GUEST_RUN_TO_CALL(&guest);
    run_context(guest.context, copy, &guest.event);
    CHECK_CALL(&guest.event, GUEST_CALL);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}
