/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/path_policy.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "files/path_name.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif

enum filesystem_rule {
    RULE_NAMES,     /* only the names in proc_names, and only to read */
    RULE_READ_ONLY, /* everything, but only to read */
    RULE_REFUSED,
};

/* File systems that show the host's kernel rather than files. All others hold files. */
static const struct {
    unsigned long magic;
    enum filesystem_rule rule;
} filesystem_rules[] = {
    {PROC_SUPER_MAGIC, RULE_NAMES},        {SYSFS_MAGIC, RULE_READ_ONLY},        {CGROUP_SUPER_MAGIC, RULE_READ_ONLY},
    {CGROUP2_SUPER_MAGIC, RULE_READ_ONLY}, {DEVPTS_SUPER_MAGIC, RULE_READ_ONLY}, {DEBUGFS_MAGIC, RULE_REFUSED},
    {TRACEFS_MAGIC, RULE_REFUSED},         {SECURITYFS_MAGIC, RULE_REFUSED},     {SELINUX_MAGIC, RULE_REFUSED},
    {SMACK_MAGIC, RULE_REFUSED},           {BPF_FS_MAGIC, RULE_REFUSED},         {EFIVARFS_MAGIC, RULE_REFUSED},
    {CONFIGFS_MAGIC, RULE_REFUSED},        {NSFS_MAGIC, RULE_REFUSED},           {BINFMTFS_MAGIC, RULE_REFUSED},
    {BINDERFS_SUPER_MAGIC, RULE_REFUSED},
};

/* What programs read of proc to learn about the machine, and nothing that belongs to a process. */
static const char *const proc_names[] = {
    "/proc",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/sys",
    "/proc/sys/fs/file-max",
    "/proc/sys/fs/nr_open",
    "/proc/sys/fs/pipe-max-size",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/version",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/mmap_min_addr",
    "/proc/sys/vm/overcommit_memory",
};

static int check_proc_name(const struct root_folder *root, int fd, enum path_use use)
{
    char name[PATH_MAX];
    ssize_t length = path_name_of(root, fd, name, sizeof(name));

    if (length < 0 || use == PATH_CHANGE)
        return -EACCES;
    for (size_t i = 0; i < ARRAY_SIZE(proc_names); i++) {
        if (strcmp(name, proc_names[i]) == 0)
            return 0;
    }
    return -EACCES;
}

int path_policy_filesystem(const struct root_folder *root, int fd, enum path_use use)
{
    struct statfs st;

    if (fstatfs(fd, &st) != 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(filesystem_rules); i++) {
        if (filesystem_rules[i].magic != (unsigned long)st.f_type)
            continue;
        switch (filesystem_rules[i].rule) {
        case RULE_NAMES:
            return check_proc_name(root, fd, use);
        case RULE_READ_ONLY:
            return use == PATH_CHANGE ? -EROFS : 0;
        case RULE_REFUSED:
            return -EACCES;
        }
    }
    return 0;
}

/* null, zero, full, random and urandom: the memory devices that are no window to anything. */
static int is_harmless_device(dev_t device)
{
    static const unsigned int minors[] = {3, 5, 7, 8, 9};

    if (major(device) != 1)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
        if (minor(device) == minors[i])
            return 1;
    }
    return 0;
}

int path_policy_type(const struct stat *st)
{
    switch (st->st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
        return 0;
    case S_IFLNK:
        return -ELOOP;
    case S_IFSOCK:
        return -ENXIO;
    case S_IFCHR:
        return is_harmless_device(st->st_rdev) ? 0 : -EACCES;
    default:
        return -EACCES;
    }
}
