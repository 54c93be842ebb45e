/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "standard_files.h"

#include <errno.h>
#include <fcntl.h>

/* Written once, by standard_files_fill(). */
static bool was_open[STANDARD_FILES];

/* Where there is no /dev, a descriptor that can neither be read nor written does as well. */
static int open_nothing(void)
{
    int fd = open("/dev/null", O_RDWR);

    return fd >= 0 ? fd : open("/", O_PATH);
}

int standard_files_fill(void)
{
    for (int fd = 0; fd < STANDARD_FILES; fd++) {
        /* Where the host refuses to say, it is open as almost always. */
        was_open[fd] = fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
        /* All lower ones are open by now, so this is the number that open gives. */
        if (!was_open[fd] && open_nothing() != fd)
            return -EBADF;
    }
    return 0;
}

bool standard_file_was_open(int fd)
{
    return fd >= 0 && fd < STANDARD_FILES && was_open[fd];
}
