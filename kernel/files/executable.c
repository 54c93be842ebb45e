/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/path_name.h"

/* Whether the file behind an O_PATH descriptor can be executed: regular, and with the permission to. */
static int check_executable(const struct root_folder *root, int fd, const struct stat *st)
{
    char name[PATH_FD_NAME_SIZE];

    if (!S_ISREG(st->st_mode))
        return -EACCES;
    path_fd_name(fd, name);
    return faccessat(root->self_fds, name, X_OK, 0) != 0 ? -errno : 0;
}

static int open_found(const struct path_context *paths, int path_fd, const struct stat *st)
{
    int result = check_executable(paths->root, path_fd, st);

    return result == 0 ? path_reopen_stat(paths->root, path_fd, st, O_RDONLY, 0) : result;
}

int executable_reopen(const struct path_context *paths, int fd)
{
    struct stat st;

    return fstat(fd, &st) != 0 ? -errno : open_found(paths, fd, &st);
}

int executable_open(const struct path_context *paths, const char *path)
{
    struct stat st;
    int path_fd = path_lookup_stat(paths, paths->cwd_fd, path, 0, PATH_INSPECT, &st);
    int result;

    if (path_fd < 0)
        return path_fd;
    result = open_found(paths, path_fd, &st);
    close(path_fd);
    return result;
}
