/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/path_name.h"
#include "files/path_policy.h"

/*
 * openat2 gives EAGAIN when a rename anywhere on the host ran against a walk
 * over "..". Another try nearly always succeeds.
 */
#define WALK_ATTEMPTS 256

/* ------------------------------------------------------------------------
 * The walk
 */

static int walk(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = mode,
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };

    for (int attempt = 0; attempt < WALK_ATTEMPTS; attempt++) {
        int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

        if (fd >= 0)
            return fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

/* A relative path that goes up over its base or over an absolute link: walk it from the root by its full name. */
static int walk_by_name(const struct path_context *context, int base_fd, const char *path, uint64_t flags,
                        uint64_t mode)
{
    char name[2 * PATH_MAX];
    size_t path_size = strlen(path) + 1;
    ssize_t length = path_name_of(context->root, base_fd, name, PATH_MAX);

    if (length < 0)
        return (int)length;
    if (path_size > PATH_MAX)
        return -ENAMETOOLONG;
    name[length] = '/';
    memcpy(name + length + 1, path, path_size);
    return walk(context->root->fd, name, flags, mode, RESOLVE_IN_ROOT);
}

static int walk_at(const struct path_context *context, int base_fd, const char *path, uint64_t flags, uint64_t mode)
{
    int fd;

    if (path[0] == '\0')
        return -ENOENT;
    if (path[0] == '/')
        return walk(context->root->fd, path, flags, mode, RESOLVE_IN_ROOT);
    fd = walk(base_fd, path, flags, mode, RESOLVE_BENEATH);
    return fd == -EXDEV ? walk_by_name(context, base_fd, path, flags, mode) : fd;
}

/* Most lookups end on the root folder's own file system: that is seen without asking for the file system's kind. */
static bool is_on_root(const struct root_folder *root, dev_t device)
{
    return root->holds_files && device == root->device;
}

static int check_found(const struct root_folder *root, int fd, enum path_use use, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return -errno;
    return is_on_root(root, st->st_dev) ? 0 : path_policy_filesystem(root, fd, use);
}

int path_lookup_stat(const struct path_context *context, int base_fd, const char *path, int open_flags,
                     enum path_use use, struct stat *st)
{
    int fd = walk_at(context, base_fd, path, O_PATH | (uint64_t)(unsigned int)open_flags, 0);
    int result;

    if (fd < 0)
        return fd;
    result = check_found(context->root, fd, use, st);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

int path_lookup(const struct path_context *context, int base_fd, const char *path, int open_flags, enum path_use use)
{
    struct stat st;

    return path_lookup_stat(context, base_fd, path, open_flags, use, &st);
}

/* ------------------------------------------------------------------------
 * Looking without a descriptor
 */

/*
 * A name of one component has no way to lead out of its directory but as a
 * link. So the host is asked for it there, and not to follow it, and its answer
 * counts unless a link has to be followed or a file system has rules: then the
 * path is walked.
 */
#define LOOK_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

static bool is_one_name(const char *path)
{
    return strchr(path, '/') == NULL && strcmp(path, "") != 0 && strcmp(path, ".") != 0 && strcmp(path, "..") != 0;
}

static bool is_answer(const struct root_folder *root, dev_t device, mode_t mode, int open_flags)
{
    return is_on_root(root, device) && (!S_ISLNK(mode) || (open_flags & O_NOFOLLOW) != 0);
}

int path_stat(const struct path_context *context, int base_fd, const char *path, int open_flags, struct stat *st)
{
    bool one_name = is_one_name(path);
    int fd;

    if (one_name && fstatat(base_fd, path, st, LOOK_FLAGS) == 0) {
        if (is_answer(context->root, st->st_dev, st->st_mode, open_flags))
            return 0;
    } else if (one_name && errno == ENOENT) {
        return -ENOENT;
    }
    fd = path_lookup_stat(context, base_fd, path, open_flags, PATH_INSPECT, st);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int path_statx(const struct path_context *context, int base_fd, const char *path, int open_flags, int sync,
               unsigned int mask, struct statx *st)
{
    bool one_name = is_one_name(path);
    int result;
    int fd;

    if (one_name && statx(base_fd, path, LOOK_FLAGS | sync, mask | STATX_TYPE, st) == 0) {
        if (is_answer(context->root, makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_mode, open_flags))
            return 0;
    } else if (one_name && errno == ENOENT) {
        return -ENOENT;
    }
    fd = path_lookup(context, base_fd, path, open_flags, PATH_INSPECT);
    if (fd < 0)
        return fd;
    result = statx(fd, "", AT_EMPTY_PATH | sync, mask, st) != 0 ? -errno : 0;
    close(fd);
    return result;
}

/* ------------------------------------------------------------------------
 * Entries of directories
 */

static enum path_last classify_last(const char *last, size_t length)
{
    if (length == 0)
        return PATH_LAST_ROOT;
    if (length == 1 && last[0] == '.')
        return PATH_LAST_DOT;
    if (length == 2 && last[0] == '.' && last[1] == '.')
        return PATH_LAST_DOTDOT;
    return PATH_LAST_NAME;
}

/* Splits path into the part before its last component, written to parent, and the last component. */
static int split(const char *path, char parent[PATH_MAX], struct path_entry *out)
{
    size_t length = strlen(path);
    size_t end = length;
    size_t start;

    if (length == 0)
        return -ENOENT;
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    while (end > 0 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (end - start > NAME_MAX)
        return -ENAMETOOLONG;
    out->last = classify_last(path + start, end - start);
    snprintf(out->name, sizeof(out->name), "%.*s%s", (int)(end - start), path + start, end < length ? "/" : "");
    if (start == 0 && path[0] == '/')
        start = 1;
    snprintf(parent, PATH_MAX, "%.*s", start ? (int)start : 1, start ? path : ".");
    return 0;
}

/* A path of one component: its directory is there already. */
static int use_base(const struct root_folder *root, int base_fd, struct path_entry *out)
{
    struct stat st;
    int result = check_found(root, base_fd, PATH_CHANGE, &st);

    if (result != 0)
        return result;
    out->parent_fd = base_fd;
    out->owns_parent = false;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int path_entry_lookup(const struct path_context *context, int base_fd, const char *path, struct path_entry *out)
{
    char parent[PATH_MAX];
    int result = split(path, parent, out);

    if (result != 0)
        return result;
    if (strcmp(parent, ".") == 0)
        return use_base(context->root, base_fd, out);
    out->owns_parent = true;
    out->parent_fd = path_lookup(context, base_fd, parent, O_DIRECTORY, PATH_CHANGE);
    return out->parent_fd < 0 ? out->parent_fd : 0;
}

void path_entry_close(struct path_entry *entry)
{
    if (entry->owns_parent)
        close(entry->parent_fd);
}

/* ------------------------------------------------------------------------
 * Opening
 */

int path_create(const struct path_context *context, int base_fd, const char *path, int open_flags, mode_t mode)
{
    struct stat st;
    int fd =
        walk_at(context, base_fd, path, (uint64_t)(unsigned int)open_flags | O_CREAT | O_NONBLOCK | O_NOCTTY, mode);

    if (fd < 0)
        return fd;
    /* Something else can have appeared there since the caller saw nothing. */
    if (check_found(context->root, fd, PATH_CHANGE, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return -EACCES;
}

int path_open_directory(const struct path_context *context, int base_fd, const char *path, int open_flags)
{
    struct stat st;
    int fd =
        walk_at(context, base_fd, path, (uint64_t)(unsigned int)open_flags | O_DIRECTORY | O_NONBLOCK | O_NOCTTY, 0);
    int result;

    if (fd < 0)
        return fd;
    result = check_found(context->root, fd, PATH_INSPECT, &st);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

int path_reopen(const struct root_folder *root, int path_fd, int open_flags, mode_t mode)
{
    struct stat st;

    return fstat(path_fd, &st) != 0 ? -errno : path_reopen_stat(root, path_fd, &st, open_flags, mode);
}

int path_reopen_stat(const struct root_folder *root, int path_fd, const struct stat *st, int open_flags, mode_t mode)
{
    char name[PATH_FD_NAME_SIZE];
    int result = path_policy_type(st);
    int fd;

    if (result != 0)
        return result;
    path_fd_name(path_fd, name);
    fd = openat(root->self_fds, name, open_flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    return fd < 0 ? -errno : fd;
}
