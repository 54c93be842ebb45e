/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <dlfcn.h>
#include <sys/auxv.h>

#include "host_vdso.h"
#include "sample.h"

/* By the names that architectures have for it. */
clock_function *host_vdso_clock(void)
{
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *function = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;

    if (vdso && !function)
        function = dlsym(vdso, "__kernel_clock_gettime");
    if (!function)
        sample_skip("this process has no vDSO, or the C library does not tell of it");
    return (clock_function *)(uintptr_t)function;
}

uint64_t host_vdso_clock_offset(void)
{
    return (uint64_t)(uintptr_t)host_vdso_clock() - getauxval(AT_SYSINFO_EHDR);
}
