/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "files/path_policy.h"

/* 0 or -errno. */
static int try_openat2(int dir)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, dir, "/", &how, sizeof(how));

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* An instance of proc that is mounted nowhere: where /proc is empty. Needs the right to mount. */
static int open_unmounted_proc(void)
{
    int proc = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
    int mount = -1;

    if (proc >= 0 && syscall(SYS_fsconfig, proc, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, proc, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    if (proc >= 0)
        close(proc);
    return mount;
}

/* The folder of this process's descriptors, or -errno of the first try. */
static int open_self_fds(void)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    int fd = open("/proc/self/fd", flags);
    int err = -errno;
    int mount;

    if (fd >= 0)
        return fd;
    mount = open_unmounted_proc();
    if (mount < 0)
        return err;
    fd = openat(mount, "self/fd", flags);
    close(mount);
    return fd < 0 ? err : fd;
}

static void root_folder_put(struct root_folder *root)
{
    if (--root->references > 0)
        return;
    if (root->fd >= 0)
        close(root->fd);
    if (root->self_fds >= 0)
        close(root->self_fds);
    free(root);
}

static int give_up(struct root_folder *root, int error, const char *sentence, const char **reason)
{
    root_folder_put(root);
    *reason = sentence;
    return error;
}

int root_folder_create(int fd, struct root_folder **out, const char **reason)
{
    struct root_folder *root = calloc(1, sizeof(*root));
    struct statfs system;
    struct stat st;
    int err;

    *reason = "no memory is left";
    if (root == NULL)
        return -ENOMEM;
    root->references = 1;
    root->self_fds = open_self_fds();
    root->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (root->self_fds < 0)
        return give_up(root, root->self_fds,
                       "/proc/self/fd cannot be opened and there is no right to mount proc: mount proc on /proc",
                       reason);
    if (root->fd < 0)
        return give_up(root, -errno, "the root folder's descriptor cannot be copied with fcntl(2)", reason);
    err = try_openat2(root->fd);
    if (err)
        return give_up(
            root, err,
            err == -ENOSYS
                ? "the host has no openat2(2), which confines files: it needs Linux 5.6 and a filter that allows it"
                : "the host refuses openat2(2), which confines files: its filter must allow it",
            reason);
    if (fstat(root->fd, &st) != 0)
        return give_up(root, -errno, "the root folder cannot be looked at: the host refuses newfstatat(2) or fstat(2)",
                       reason);
    if (fstatfs(root->fd, &system) != 0)
        return give_up(root, -errno, "the root folder's file system cannot be told: the host refuses fstatfs(2)",
                       reason);
    root->device = st.st_dev;
    root->holds_files = path_policy_filesystem(root, root->fd, PATH_CHANGE) == 0;
    *out = root;
    return 0;
}

/* Owns the descriptor and the reference to root from here on. */
static struct path_context *context_at(struct root_folder *root, int cwd_fd, mode_t mask)
{
    struct path_context *context = cwd_fd < 0 ? NULL : calloc(1, sizeof(*context));

    if (context == NULL) {
        if (cwd_fd >= 0)
            close(cwd_fd);
        root_folder_put(root);
        return NULL;
    }
    context->references = 1;
    context->umask = mask;
    context->cwd_fd = cwd_fd;
    context->root = root;
    return context;
}

/*
 * The host's umask is the whole process's and would be applied on top of the
 * guest's, so it is taken away here and becomes what the guest starts with.
 */
static mode_t take_host_umask(void)
{
    static mode_t initial;
    static int taken;

    if (!taken) {
        initial = umask(0);
        taken = 1;
    }
    return initial;
}

struct path_context *path_context_create(struct root_folder *root, const char *cwd)
{
    struct path_context in_root = {.cwd_fd = root->fd, .root = root};
    int fd = path_lookup(&in_root, root->fd, cwd, O_DIRECTORY, PATH_INSPECT);

    if (fd < 0)
        fd = path_lookup(&in_root, root->fd, "/", O_DIRECTORY, PATH_INSPECT);
    return context_at(root, fd, take_host_umask());
}

struct path_context *path_context_copy(const struct path_context *from)
{
    from->root->references++;
    return context_at(from->root, fcntl(from->cwd_fd, F_DUPFD_CLOEXEC, 0), from->umask);
}

struct path_context *path_context_get(struct path_context *context)
{
    context->references++;
    return context;
}

void path_context_put(struct path_context *context)
{
    if (--context->references > 0)
        return;
    close(context->cwd_fd);
    root_folder_put(context->root);
    free(context);
}
