/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Writes down what descriptors 0, 1 and 2 were when it was started, and which
 * number a new file gets: standard_files compares that with a native run.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define STANDARD_FILES 3

struct seen {
    int flags; /* -1: closed */
    unsigned int type;
};

int main(int argc, char **argv)
{
    struct seen seen[STANDARD_FILES];
    FILE *out;

    for (int fd = 0; fd < STANDARD_FILES; fd++) {
        struct stat st = {0};
        seen[fd].flags = fcntl(fd, F_GETFL);
        fstat(fd, &st);
        seen[fd].type = st.st_mode & S_IFMT;
    }
    out = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (!out)
        return 1;
    for (int fd = 0; fd < STANDARD_FILES; fd++)
        fprintf(out, "%d: %s, access %d, type %o\n", fd, seen[fd].flags < 0 ? "closed" : "open",
                seen[fd].flags < 0 ? 0 : seen[fd].flags & O_ACCMODE, seen[fd].type);
    /* What is above may be open in a native run: the one who starts it decides. */
    if (fileno(out) < STANDARD_FILES)
        fprintf(out, "the next file got %d\n", fileno(out));
    return fclose(out) != 0;
}
