/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a vDSO of the library's own needs of a processor: the blob, and the counter that its clocks go by. */
#ifndef ARCH_ARCH_VDSO_H
#define ARCH_ARCH_VDSO_H

#include <stdbool.h>
#include <stdint.h>

struct arch_vdso {
    const uint8_t *blob; /* an ELF shared object, to be mapped as it is: read and execute */
    const uint8_t *blob_end;
    /* Can this process read the counter? And does it go evenly, and on all processors the same? */
    bool (*counter_readable)(void);
    bool (*counter_steady)(void);
    /* Not before what was loaded above it. */
    uint64_t (*counter)(void);
};

/* NULL: there is none for this processor. */
extern const struct arch_vdso *const tgi_arch_vdso;

#endif
