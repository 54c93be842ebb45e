/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "own_vdso.h"
#include "sample.h"

#define IMAGE_SIZE 4096

/* As any shared object: the dynamic linker reads it. */
static uint64_t offset_in_file(int file)
{
    const struct link_map *map;
    char path[64];
    void *object;
    void *function;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    function = object ? dlsym(object, "__vdso_clock_gettime") : NULL;
    if (!function || dlinfo(object, RTLD_DI_LINKMAP, &map))
        sample_skip("the library's own vDSO cannot be looked into: %s", dlerror());
    return (uint64_t)(uintptr_t)function - map->l_addr;
}

uint64_t own_vdso_clock_offset(const tg_subprocess *subprocess, uint64_t vdso)
{
    char image[IMAGE_SIZE];
    char path[64];
    uint64_t offset;
    int memory;
    int file;

    snprintf(path, sizeof(path), "/proc/%d/mem", tg_subprocess_pid(subprocess));
    memory = open(path, O_RDONLY | O_CLOEXEC);
    file = memfd_create("vdso", MFD_CLOEXEC);
    if (memory < 0 || file < 0 || pread(memory, image, sizeof(image), (off_t)vdso) != (ssize_t)sizeof(image) ||
        write(file, image, sizeof(image)) != (ssize_t)sizeof(image))
        sample_skip("this host does not let a process read the memory of its child: %m");
    close(memory);
    offset = offset_in_file(file);
    close(file);
    return offset;
}
