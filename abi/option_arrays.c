/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "abi/option_arrays.h"
#include "abi/option_structs.h"
#include "core/failure.h"

int option_array_read(tg_platform *platform, const char *what, const void *callers, size_t n, void *copies, size_t size)
{
    uint32_t stride;

    memcpy(&stride, callers, sizeof(stride));
    for (size_t i = 0; i < n; i++) {
        const char *element = (const char *)callers + i * stride;
        uint32_t stated;
        int err;

        memcpy(&stated, element, sizeof(stated));
        err = stated == stride ? option_struct_read((char *)copies + i * size, size, element) : -EINVAL;
        if (err)
            return platform_fail(platform, err,
                                 err == -E2BIG ? "%s %zu: a field that this library does not know is set"
                                               : "%s %zu: a wrong size",
                                 what, i);
    }
    return 0;
}
