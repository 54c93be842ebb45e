/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/path_name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void path_fd_name(int fd, char name[PATH_FD_NAME_SIZE])
{
    snprintf(name, PATH_FD_NAME_SIZE, "%d", fd);
}

static ssize_t host_name_of(const struct root_folder *root, int fd, char *buffer, size_t capacity)
{
    char link[PATH_FD_NAME_SIZE];
    ssize_t length;

    path_fd_name(fd, link);
    length = readlinkat(root->self_fds, link, buffer, capacity);
    if (length < 0)
        return -errno;
    if ((size_t)length >= capacity)
        return -ENAMETOOLONG;
    buffer[length] = '\0';
    return length;
}

static int is_removed(int fd)
{
    struct stat st;

    return fstat(fd, &st) != 0 || st.st_nlink == 0;
}

/* The length of the root's name in front of name, or -ENOENT when name is not under the root. */
static ssize_t root_prefix(const char *root_name, size_t root_length, const char *name)
{
    if (root_length == 1)
        return 0; /* "/" */
    if (strncmp(name, root_name, root_length) != 0)
        return -ENOENT;
    if (name[root_length] != '\0' && name[root_length] != '/')
        return -ENOENT;
    return (ssize_t)root_length;
}

ssize_t path_name_of(const struct root_folder *root, int fd, char *buffer, size_t capacity)
{
    char root_name[PATH_MAX];
    ssize_t root_length = host_name_of(root, root->fd, root_name, sizeof(root_name));
    ssize_t length = host_name_of(root, fd, buffer, capacity);
    ssize_t prefix;

    if (root_length < 0)
        return root_length;
    if (length < 0)
        return length;
    if (buffer[0] != '/' || is_removed(fd))
        return -ENOENT;
    prefix = root_prefix(root_name, (size_t)root_length, buffer);
    if (prefix < 0)
        return prefix;
    if (prefix == length) {
        buffer[1] = '\0'; /* "/" */
        return 1;
    }
    memmove(buffer, buffer + prefix, (size_t)(length - prefix) + 1);
    return length - prefix;
}
