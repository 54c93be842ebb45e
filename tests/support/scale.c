/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "scale.h"

#include <stdlib.h>

size_t scaled(size_t count)
{
    const char *text = getenv("TG_TEST_SCALE");
    const size_t percent = text ? strtoul(text, NULL, 10) : 100;
    const size_t result = count * percent / 100;
    return result ? result : 1;
}
