/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/memory_file.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10 /* Linux 5.1 */
#endif

static bool is_beyond_limit(uint64_t size)
{
    struct rlimit limit;

    return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < size;
}

/* Beyond the limit the kernel signals the thread: not ours to raise, also when the limit was changed just now. */
int memory_file_grow(int file, uint64_t size)
{
    const struct timespec now = {0};
    sigset_t beyond_limit;
    sigset_t before;
    int err;

    if (is_beyond_limit(size))
        return -EFBIG;
    sigemptyset(&beyond_limit);
    sigaddset(&beyond_limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &beyond_limit, &before);
    err = ftruncate(file, (off_t)size) ? -errno : 0;
    if (err == -EFBIG)
        sigtimedwait(&beyond_limit, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

int memory_file_create(const char *name, uint64_t size, const char **call)
{
    int file = descriptor_memfd(name, MFD_ALLOW_SEALING);
    int err;

    *call = "memfd_create(2)";
    if (file < 0)
        return file;
    *call = "ftruncate(2)";
    err = memory_file_grow(file, size);
    if (!err)
        return file;
    close(file);
    return err;
}

int memory_file_seal(int file)
{
    return fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL) ? -errno : 0;
}
