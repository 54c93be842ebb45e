/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Descriptors of the embedder mapped into guests. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

#define AREA GUEST_HOLE_AT

struct shared_file {
    int descriptor;
    uint64_t *words;
    size_t length;
};

static struct shared_file open_file(size_t length)
{
    struct shared_file file = {.length = length};

    file.descriptor = CHECK_SYSTEM(memfd_create("shared", MFD_CLOEXEC));
    CHECK_SYSTEM(ftruncate(file.descriptor, (off_t)length));
    file.words = CHECK_SYSTEM(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0));
    return file;
}

static void close_file(struct shared_file *file)
{
    CHECK_SYSTEM(munmap(file->words, file->length));
    CHECK_SYSTEM(close(file->descriptor));
}

/* A number that is closed and opened again means the new file. */
static void reused_number(uint32_t backend)
{
    struct guest guest;
    struct shared_file first;
    struct shared_file second;

    guest_open(&guest, backend, GUEST_CODE(read_calls));
    first = open_file(guest.page);
    first.words[0] = 1;
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, guest.page, TG_PROT_READ, TG_MAP_SHARED, first.descriptor, 0));
    close_file(&first);
    second = open_file(guest.page);
    second.words[0] = 2;
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA + guest.page, guest.page, TG_PROT_READ, TG_MAP_SHARED,
                               second.descriptor, 0));
    CHECK_EQ(guest_load(guest.subprocess, AREA), 1);
    CHECK_EQ(guest_load(guest.subprocess, AREA + guest.page), 2);
    close_file(&second);
    guest_close(&guest);
}

static int open_read_only(size_t length)
{
    char path[64];
    int file = CHECK_SYSTEM(memfd_create("read-only", MFD_CLOEXEC));
    int copy;

    CHECK_SYSTEM(ftruncate(file, (off_t)length));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    copy = CHECK_SYSTEM(open(path, O_RDONLY | O_CLOEXEC));
    close(file);
    return copy;
}

static void unusable_descriptors(uint32_t backend)
{
    struct guest guest;
    int read_only;
    int pipes[2];

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    read_only = open_read_only(guest.page);
    CHECK_SYSTEM(pipe2(pipes, O_CLOEXEC));
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, AREA, guest.page, PROT_RW, TG_MAP_SHARED, read_only, 0), -EACCES);
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, guest.page, PROT_RW, 0, read_only, 0));
    CHECK_RESULT(
        tg_subprocess_map(guest.subprocess, AREA + guest.page, guest.page, TG_PROT_READ, TG_MAP_SHARED, pipes[0], 0),
        -ENODEV);
    CHECK_RESULT(
        tg_subprocess_map(guest.subprocess, AREA + guest.page, guest.page, TG_PROT_READ, TG_MAP_SHARED, 987654, 0),
        -EBADF);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA + guest.page, pipes, 1, NULL), -EFAULT);
    CHECK(tg_platform_last_error(guest.platform)[0] != '\0');
    close(read_only);
    close(pipes[0]);
    close(pipes[1]);
    guest_close(&guest);
}

/* A read-only descriptor stays read-only: the guest's mapping cannot be made writable later. */
static void read_only_stays(uint32_t backend)
{
    struct guest guest;
    int read_only;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    read_only = open_read_only(guest.page);
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, guest.page, TG_PROT_READ, TG_MAP_SHARED, read_only, 0));
    CHECK_RESULT(tg_subprocess_protect(guest.subprocess, AREA, guest.page, PROT_RW), -EACCES);
    close(read_only);
    guest_close(&guest);
}

static void zero_must_be_meant(uint32_t backend)
{
    struct guest guest;
    tg_mem_op forgotten = {.size = sizeof(forgotten), .kind = TG_MEM_MAP, .addr = AREA, .prot = PROT_RW};
    const char *sentence;
    int file = CHECK_SYSTEM(memfd_create("standard input", MFD_CLOEXEC));

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    forgotten.length = guest.page;
    CHECK_EQ(pwrite(file, &(uint64_t){42}, sizeof(uint64_t), 0), sizeof(uint64_t));
    CHECK_SYSTEM(dup2(file, 0));
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &forgotten, 1, NULL), -EINVAL);
    sentence = tg_platform_last_error(guest.platform);
    CHECK(strstr(sentence, "descriptor 0") && strstr(sentence, "TG_MAP_FD") && strstr(sentence, "fd -1"));
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, AREA, guest.page, TG_PROT_READ, TG_MAP_SHARED, 0, 0), -EINVAL);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, AREA, &file, 1, NULL), -EFAULT);
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, AREA, guest.page, PROT_RW, TG_MAP_FD, -1, 0), -EINVAL);
    forgotten.flags = TG_MAP_FD;
    CHECK_OK(tg_subprocess_apply(guest.subprocess, &forgotten, 1, NULL));
    CHECK_EQ(guest_load(guest.subprocess, AREA), 42);
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, guest.page, PROT_RW, TG_MAP_FD, file, 0));
    guest_close(&guest);
}

const struct test_case descriptor_cases[] = {
    {"descriptor.reused_number", "A descriptor number that was closed and opened again means the new file",
     reused_number},
    {"descriptor.unusable", "Descriptors that are read-only, a pipe or not open give -EACCES, -ENODEV and -EBADF",
     unusable_descriptors},
    {"descriptor.read_only", "A shared mapping of a read-only descriptor cannot be made writable", read_only_stays},
    {"descriptor.zero", "Descriptor 0 is mapped only with TG_MAP_FD, so that a forgotten fd maps nothing",
     zero_must_be_meant},
    {0},
};
