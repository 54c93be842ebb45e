/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Tries to reach what is outside of the root folder. Outside there are, beside
 * the root folder, a file "secret" and an empty folder "trap"; argv[1] is the
 * host's path of the folder that holds all three, and descriptor 0 is that
 * folder itself, open. The script that starts this checks that they stay as
 * they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "report.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define UP8  "../../../../../../../../"
#define UP64 UP8 UP8 UP8 UP8 UP8 UP8 UP8 UP8

/* Where "secret" would be, seen from the guest, if something led out. */
static char absolute_secret[PATH_MAX];
static const char *const outside[] = {
    absolute_secret,
    "/../secret",
    "../secret",
    UP64 "secret",
    "folder/../../secret",
    "/folder/" UP64 "secret",
    "link_up/secret",
    "link_absolute",
    "link_chain/secret",
    "/proc/self/root/../secret",
    "/proc/self/cwd/../secret",
    "/proc/1/root/../secret",
    "/proc/1/cwd/../secret",
    "/proc/self/fd/0/secret",
    "/dev/fd/0/secret",
    "/dev/stdin/secret",
};

/* Whether an open file holds the secret: the only file that starts with this word. */
static int is_secret(int fd)
{
    char word[8] = "";

    return read(fd, word, 6) == 6 && memcmp(word, "SECRET", 6) == 0;
}

static int leads_out(const char *path)
{
    int fd = open(path, O_RDONLY);
    int found;

    if (fd < 0)
        return 0;
    found = is_secret(fd);
    close(fd);
    return found;
}

static void make_inside(void)
{
    REPORT(mkdir("/folder", 0755) == 0);
    REPORT(symlink(UP64, "/link_up") == 0);
    REPORT(symlink(absolute_secret, "/link_absolute") == 0);
    REPORT(symlink("/link_up", "/link_chain") == 0);
    REPORT(symlink("/proc/self/root", "/link_magic") == 0);
}

static void reading(void)
{
    struct statx stx;
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
        REPORT(!leads_out(outside[i]));
        REPORT(stat(outside[i], &st) == -1);
        REPORT(statx(AT_FDCWD, outside[i], 0, STATX_BASIC_STATS, &stx) == -1);
        REPORT(open(outside[i], O_RDONLY | O_DIRECTORY) == -1);
        REPORT(access(outside[i], F_OK) == -1);
        REPORT(truncate(outside[i], 0) == -1);
        REPORT(chmod(outside[i], 0777) == -1);
        REPORT(link(outside[i], "/folder/linked") == -1 || leads_out("/folder/linked") == 0);
        unlink("/folder/linked");
    }
}

/* Whatever these make or remove is inside of the root folder; the script sees if it is not. */
static void changing(void)
{
    REPORT(unlink("/../secret") == -1 && errno == ENOENT);
    REPORT(rmdir("/../trap") == -1 && errno == ENOENT);
    REPORT(unlink(absolute_secret) == -1);
    REPORT(rename("/../secret", "/stolen") == -1 && errno == ENOENT);
    REPORT(mkdir("/../made", 0755) == 0 && access("/made", F_OK) == 0);
    REPORT(rename("/made", UP64 "moved") == 0 && access("/moved", F_OK) == 0);
    REPORT(symlink("x", "link_up/symlink") == 0 && readlink("/symlink", (char[8]){0}, 8) == 1);
    REPORT(close(open("link_chain/created", O_CREAT | O_WRONLY, 0600)) == 0 && access("/created", F_OK) == 0);
    REPORT(link("/created", "/../hard") == 0 && access("/hard", F_OK) == 0);
    REPORT(mkdir("/..", 0755) == -1 && errno == EEXIST);
    REPORT(rmdir("/..") == -1);
    REPORT(rename("/folder", "/..") == -1);
    REPORT(rename("/..", "/folder/up") == -1);
    REPORT(symlink("../../trap/x", "/dangling") == 0 && open("/dangling", O_CREAT | O_WRONLY, 0600) == -1);
}

static void moving(void)
{
    char cwd[PATH_MAX];
    int up;

    REPORT(chdir(UP64) == 0 && syscall(SYS_getcwd, cwd, sizeof(cwd)) == 2 && strcmp(cwd, "/") == 0);
    REPORT(chdir("/folder") == 0 && chdir("..") == 0 && chdir("..") == 0);
    REPORT(syscall(SYS_getcwd, cwd, sizeof(cwd)) == 2);
    up = open("/folder/../..", O_PATH | O_DIRECTORY);
    REPORT(up >= 0 && fchdir(up) == 0 && access("folder", F_OK) == 0);
    REPORT(openat(up, "../secret", O_RDONLY) == -1 && openat(up, UP64 "secret", O_RDONLY) == -1);
    REPORT(chroot("/folder") == -1);
    REPORT(mount("/", "/folder", NULL, MS_BIND, NULL) == -1);
    close(up);
}

/* Descriptor 0 is a folder outside, given by whoever started the sandbox: not to be used as a way. */
static void inherited_folder(void)
{
    REPORT(openat(0, "secret", O_RDONLY) == -1);
    REPORT(openat(0, "root/../secret", O_RDONLY) == -1);
    REPORT(fchdir(0) == -1);
    REPORT(chdir("/proc/self/fd/0") == -1);
    REPORT(chdir("/dev/stdin") == -1);
    REPORT(unlinkat(0, "secret", 0) == -1);
    REPORT(mkdirat(0, "made", 0755) == -1);
    REPORT(renameat(0, "secret", AT_FDCWD, "/stolen") == -1);
    REPORT(symlinkat("x", 0, "made") == -1);
    REPORT(fchmod(0, 0777) == -1);
    REPORT(fchmodat(0, "secret", 0777, 0) == -1);
    REPORT(openat(dup(0), "secret", O_RDONLY) == -1);
}

/* Links of the host's proc that jump, and entries that belong to the embedder. */
static void proc_of_the_host(void)
{
    static const char *const names[] = {
        "/proc/self/root",
        "/proc/thread-self/root",
        "/link_magic",
        "/proc/self/cwd",
    };
    static const char *const refused[] = {
        "/proc/self/mem",    "/proc/self/fd/100",     "/proc/self/fd/3", "/proc/self/task", "/proc/self/map_files",
        "/proc/self/ns/mnt", "/proc/2/environ",       "/proc/2/mem",     "/proc/2/maps",    "/proc/sysrq-trigger",
        "/proc/kcore",       "/proc/self/../1/exe",   "/proc/2/root",    "/proc/kmsg",      "/proc/self/mountinfo",
        "/proc/keys",        "/proc//self/environ",   "//proc/self/mem", "/proc/./self/fd", "/./proc/self/fd/0",
        "/sys/../proc/1/fd", "/proc/self/./environ/", "/dev/mem",        "/dev/kmsg",       "/dev/console",
    };
    struct stat inside;
    struct stat st;

    REPORT(stat("/", &inside) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        REPORT(stat(names[i], &st) == -1 || (st.st_dev == inside.st_dev && st.st_ino == inside.st_ino));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        printf("yes, now %s\n", refused[i]);
        REPORT(open(refused[i], O_RDONLY) == -1);
        REPORT(open(refused[i], O_RDWR) == -1);
    }
}

/* The folder of descriptors is the embedder's on the host: its entries are the guest's, and it is no way to others. */
static void folder_of_descriptors(void)
{
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    char link[PATH_MAX];
    struct stat st;

    REPORT(folder >= 0);
    for (int fd = folder + 1; fd < 64; fd++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", fd);
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || readlinkat(folder, name, link, sizeof(link)) >= 0 ||
            openat(folder, name, O_PATH | O_NOFOLLOW) >= 0)
            REPORT(!"an entry that is not the guest's");
    }
    REPORT(openat(folder, "../..", O_RDONLY) == -1 && openat(folder, "../environ", O_RDONLY) == -1);
    REPORT(fstatat(folder, "../exe", &st, 0) == -1 && readlinkat(folder, "../exe", link, sizeof(link)) == -1);
    REPORT(openat(folder, "./3", O_RDONLY) == -1 && readlinkat(folder, "../fd/3", link, sizeof(link)) == -1);
    REPORT(fchdir(folder) == -1 && chdir("/proc/self/fd") == -1 && chdir("/dev/fd/") == -1);
    REPORT(openat(folder, "0/secret", O_RDONLY) == -1);
    close(folder);
}

static void making_devices_and_sockets(void)
{
    REPORT(mknod("/device", S_IFCHR | 0666, makedev(1, 1)) == -1);
    REPORT(mknod("/device", S_IFBLK | 0666, makedev(8, 0)) == -1);
    REPORT(socket(AF_UNIX, SOCK_STREAM, 0) == -1);
    REPORT(socket(AF_INET, SOCK_STREAM, 0) == -1);
    REPORT(ioctl(0, TIOCSTI, "x") == -1);
    REPORT(syscall(SYS_open_by_handle_at, 0, "\1\0\0\0\1\0\0\0x", O_RDONLY) == -1);
    REPORT(close(open("/suid", O_CREAT | O_WRONLY, 06755)) == 0 && chmod("/suid", 06755) == 0);
}

static volatile int racing = 1;

/* Swaps a folder and a link that points up, and moves a folder in and out of a deep place. */
static void *swap(void *unused)
{
    (void)unused;
    while (racing) {
        syscall(SYS_renameat2, AT_FDCWD, "/race/real", AT_FDCWD, "/race/link", 2);
        syscall(SYS_renameat2, AT_FDCWD, "/race/name", AT_FDCWD, "/race/named", 2);
        rename("/race/deep/a/b", "/race/b");
        rename("/race/b", "/race/deep/a/b");
    }
    return NULL;
}

/* A name of one component is now an empty file, now a link to the secret. */
static int shows_secret(int dir, const char *name)
{
    struct statx stx;
    struct stat st;

    return (fstatat(dir, name, &st, 0) == 0 && st.st_size > 0) ||
           (statx(dir, name, 0, STATX_BASIC_STATS, &stx) == 0 && stx.stx_size > 0);
}

static void rename_races(void)
{
    static const char *const paths[] = {
        "/race/real/../../secret",
        "/race/real/secret",
        "/race/deep/a/b/../../../../../../secret",
    };
    pthread_t swapper;
    int found = 0;
    int race;
    int b;

    REPORT(mkdir("/race", 0755) == 0 && mkdir("/race/real", 0755) == 0 && symlink(UP8, "/race/link") == 0);
    REPORT(mknod("/race/name", S_IFREG | 0600, 0) == 0 && symlink(absolute_secret, "/race/named") == 0);
    race = open("/race", O_RDONLY | O_DIRECTORY);
    REPORT(mkdir("/race/deep", 0755) == 0 && mkdir("/race/deep/a", 0755) == 0 && mkdir("/race/deep/a/b", 0755) == 0);
    b = open("/race/deep/a/b", O_PATH);
    REPORT(pthread_create(&swapper, NULL, swap, NULL) == 0);
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
            found += leads_out(paths[i]);
        found += shows_secret(race, "name");
        found += openat(b, UP64 "secret", O_RDONLY) >= 0;
        found += unlinkat(b, "../../../../secret", 0) == 0;
        found += rename("/race/real/../../secret", "/stolen") == 0;
    }
    racing = 0;
    pthread_join(swapper, NULL);
    REPORT(found == 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    snprintf(absolute_secret, sizeof(absolute_secret), "%s/secret", argv[1]);
    make_inside();
    reading();
    changing();
    moving();
    inherited_folder();
    proc_of_the_host();
    folder_of_descriptors();
    making_devices_and_sockets();
    rename_races();
    return report_status();
}
