/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guest path names. Every name that a guest hands in is looked up here and
 * nowhere else, so this file decides what a guest can reach: the tree under
 * one folder of the host, and of the kernel's own file systems in it only what
 * is listed in path_policy.c.
 *
 * A lookup gives an O_PATH descriptor of the host that the caller closes. The
 * host walks the path (openat2), so a rename under the walk cannot lead out.
 */
#ifndef TRAPGATE_KERNEL_PATH_H
#define TRAPGATE_KERNEL_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The folder that guests see as "/". One for each sandbox. */
struct root_folder {
    uint32_t references;
    int fd;          /* O_PATH */
    int holds_files; /* the file system that fd lives on is none that path_policy.c restricts */
    dev_t device;    /* its number, which no other file system gets while fd is open */
    int self_fds;    /* O_PATH of the embedder's own /proc/self/fd, to open again what an O_PATH descriptor holds */
};

/*
 * Takes a copy of the descriptor. Returns 0 or -errno; *reason then says in a
 * static sentence what is missing.
 */
int root_folder_create(int fd, struct root_folder **out, const char **reason);

/* What threads made with CLONE_FS share. */
struct path_context {
    uint32_t references;
    mode_t umask;
    int cwd_fd; /* O_PATH of the current directory */
    struct root_folder *root;
};

/*
 * Starts in the guest directory cwd, or in "/" when there is no such. Takes
 * over the reference to root, also when it fails: NULL when no memory or no
 * descriptor is left.
 */
struct path_context *path_context_create(struct root_folder *root, const char *cwd);
struct path_context *path_context_copy(const struct path_context *from);
struct path_context *path_context_get(struct path_context *context);
void path_context_put(struct path_context *context);

/* What the caller is going to do with what it looks up. */
enum path_use {
    PATH_INSPECT, /* read it or its attributes */
    PATH_CHANGE,  /* write it, its attributes or its entries */
};

/*
 * Looks up path from the directory base_fd (a descriptor of the host; for
 * absolute paths ignored). open_flags: O_NOFOLLOW and O_DIRECTORY or 0.
 * Returns an O_PATH descriptor or -errno.
 */
int path_lookup(const struct path_context *context, int base_fd, const char *path, int open_flags, enum path_use use);

/* The same, and *st is what fstat(2) says of it. */
int path_lookup_stat(const struct path_context *context, int base_fd, const char *path, int open_flags,
                     enum path_use use, struct stat *st);

/*
 * What stat(2), or lstat(2) with O_NOFOLLOW, says of a path that is only
 * inspected. 0 or -errno. statx(2) as well: with its AT_STATX_* and its mask.
 */
int path_stat(const struct path_context *context, int base_fd, const char *path, int open_flags, struct stat *st);
int path_statx(const struct path_context *context, int base_fd, const char *path, int open_flags, int sync,
               unsigned int mask, struct statx *st);

/* What the last component of a path can be, after slashes at the end are taken off. */
enum path_last {
    PATH_LAST_NAME,
    PATH_LAST_DOT,
    PATH_LAST_DOTDOT,
    PATH_LAST_ROOT, /* only slashes */
};

/* Where an entry is made, removed or renamed. */
struct path_entry {
    int parent_fd;
    bool owns_parent; /* else it is the base of the lookup */
    enum path_last last;
    char name[NAME_MAX + 2]; /* with a slash at the end if the path had one; no other slash */
};

/*
 * Looks up the directory that holds the last component, which is not looked at
 * itself. Returns 0 or -errno. base_fd stays open until path_entry_close().
 */
int path_entry_lookup(const struct path_context *context, int base_fd, const char *path, struct path_entry *out);
void path_entry_close(struct path_entry *entry);

/*
 * Makes and opens a regular file as open(2) with O_CREAT does; the umask is the
 * caller's to apply. Returns a descriptor or -errno.
 */
int path_create(const struct path_context *context, int base_fd, const char *path, int open_flags, mode_t mode);

/*
 * Opens a directory to read it. Nothing else is opened by that, not even for a
 * moment, so no second descriptor has to show first what it is. Returns a
 * descriptor or -errno.
 */
int path_open_directory(const struct path_context *context, int base_fd, const char *path, int open_flags);

/*
 * Opens what an O_PATH descriptor holds. Devices other than the harmless ones,
 * sockets and symbolic links are refused. Returns a descriptor or -errno.
 */
int path_reopen(const struct root_folder *root, int path_fd, int open_flags, mode_t mode);

/* The same for one of which the caller knows what fstat(2) says. */
int path_reopen_stat(const struct root_folder *root, int path_fd, const struct stat *st, int open_flags, mode_t mode);

#endif
