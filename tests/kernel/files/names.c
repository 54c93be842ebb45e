/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Paths, directories, links and attributes. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attempt.h"

static void show(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        printf("%s: %s\n", path, strerrorname_np(errno));
        return;
    }
    printf("%s: %o links %lu size %ld owner %u %u\n", path, st.st_mode, (unsigned long)st.st_nlink,
           S_ISDIR(st.st_mode) ? 0L : (long)st.st_size, st.st_uid, st.st_gid);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    char *names[100];
    size_t count = 0;
    DIR *directory = opendir(path);

    if (directory == NULL) {
        printf("%s: %s\n", path, strerrorname_np(errno));
        return;
    }
    for (struct dirent *entry; count < 100 && (entry = readdir(directory)) != NULL;)
        names[count++] = strdup(entry->d_name);
    qsort(names, count, sizeof(names[0]), compare_names);
    for (size_t i = 0; i < count; i++)
        printf("%s/%s\n", path, names[i]);
    rewinddir(directory);
    ATTEMPT(readdir(directory) != NULL);
    closedir(directory);
}

static void making(void)
{
    ATTEMPT(mkdir("made", 0777));
    ATTEMPT(mkdir("made", 0777));
    ATTEMPT(mkdir("made/deep/", 0700));
    ATTEMPT(mkdir("no/deep", 0700));
    ATTEMPT(mkdir(".", 0700));
    ATTEMPT(mkdir("..", 0700));
    ATTEMPT(mkdir("made/.", 0700));
    ATTEMPT(mkdir("/", 0700));
    ATTEMPT(mkdir("", 0700));
    ATTEMPT(mkdir("numbers/x", 0700));
    ATTEMPT(symlink("../numbers", "made/link"));
    ATTEMPT(symlink("nothing", "made/dangling"));
    ATTEMPT(symlink("", "made/empty"));
    ATTEMPT(symlink("loop", "loop"));
    ATTEMPT(symlink("x", "made/deep/"));
    ATTEMPT(open("loop", O_RDONLY));
    ATTEMPT(open("made/link", O_RDONLY | O_NOFOLLOW));
    ATTEMPT(close(open("made/dangling", O_WRONLY | O_CREAT, 0640)));
    ATTEMPT(open("made/dangling", O_WRONLY | O_CREAT | O_EXCL, 0640));
    ATTEMPT(mkdir("made/dangling/", 0700));
    ATTEMPT(link("numbers", "made/hard"));
    ATTEMPT(link("made/link", "made/hard_link_of_link"));
    ATTEMPT(linkat(AT_FDCWD, "made/link", AT_FDCWD, "made/hard_of_target", AT_SYMLINK_FOLLOW));
    ATTEMPT(link("made/deep", "made/hard_directory"));
    ATTEMPT(link("numbers", "made/hard"));
    ATTEMPT(link("numbers", "new/"));
    ATTEMPT(mknod("fifo", S_IFIFO | 0600, 0));
    ATTEMPT(mknod("plain", S_IFREG | 0600, 0));
    ATTEMPT(mkdir("made/"
                  "1234567890123456789012345678901234567890123456789012345678901234567890"
                  "1234567890123456789012345678901234567890123456789012345678901234567890"
                  "1234567890123456789012345678901234567890123456789012345678901234567890"
                  "1234567890123456789012345678901234567890123456",
                  0700));
    list("made");
    list("made/deep");
    show("made");
    show("made/link");
    show("made/hard");
    show("made/hard_link_of_link");
    show("made/hard_of_target");
    show("nothing");
    show("made/nothing");
    show("fifo");
    ATTEMPT(unlink("fifo"));
    show("plain");
}

static int try_open(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags);

    return fd < 0 ? -1 : close(fd);
}

/* What each way to look at a name says of it. */
static void look(int dir, const char *name)
{
    struct statx stx = {0};
    struct stat st = {0};

    printf("-- %s\n", name);
    ATTEMPT(fstatat(dir, name, &st, 0));
    printf("mode %o\n", st.st_mode);
    st.st_mode = 0;
    ATTEMPT(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW));
    printf("mode %o\n", st.st_mode);
    ATTEMPT(statx(dir, name, 0, STATX_BASIC_STATS, &stx));
    printf("mode %o\n", stx.stx_mode);
    stx.stx_mode = 0;
    ATTEMPT(statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_MODE, &stx));
    printf("mode %o\n", stx.stx_mode);
    ATTEMPT(statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_MODE, &stx));
    ATTEMPT(faccessat(dir, name, F_OK, 0));
    ATTEMPT(faccessat(dir, name, R_OK, 0));
    ATTEMPT(try_open(dir, name, O_RDONLY | O_DIRECTORY));
    ATTEMPT(try_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_EXCL));
    ATTEMPT(try_open(dir, name, O_PATH | O_DIRECTORY));
}

/* Names of one component, which need no walk, and all that look like one or lead on from one. */
static void looking(void)
{
    static const char *const names[] = {
        "file",
        "file/",
        "file/.",
        "./file",
        "folder",
        "folder/",
        "folder/.",
        "folder/..",
        "folder/file",
        ".",
        "..",
        "/",
        "//",
        "",
        "none",
        "none/",
        "...",
        "to_file",
        "to_file/",
        "to_folder",
        "to_folder/",
        "to_folder/file",
        "to_none",
        "to_itself",
        "to_root",
        "to_proc",
        "to_null",
        "fifo",
        "/proc",
        "/dev/null",
        "/proc/version",
    };
    char long_name[300] = "";
    int folder;

    ATTEMPT(mkdir("looking", 0755));
    ATTEMPT(chdir("looking"));
    ATTEMPT(mkdir("folder", 0750));
    ATTEMPT(mknod("file", S_IFREG | 0640, 0));
    ATTEMPT(mknod("fifo", S_IFIFO | 0600, 0));
    ATTEMPT(link("file", "folder/file"));
    ATTEMPT(symlink("file", "to_file"));
    ATTEMPT(symlink("folder", "to_folder"));
    ATTEMPT(symlink("none", "to_none"));
    ATTEMPT(symlink("to_itself", "to_itself"));
    ATTEMPT(symlink("/", "to_root"));
    ATTEMPT(symlink("/proc/version", "to_proc"));
    ATTEMPT(symlink("/dev/null", "to_null"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        look(AT_FDCWD, names[i]);
    ATTEMPT(open("folder", O_RDWR | O_DIRECTORY));
    ATTEMPT(open("to_folder", O_RDONLY | O_DIRECTORY | O_TRUNC));
    memset(long_name, 'n', sizeof(long_name) - 1);
    look(AT_FDCWD, long_name);
    folder = open("folder", O_RDONLY | O_DIRECTORY);
    look(folder, "file");
    look(folder, "..");
    look(folder, "none");
    ATTEMPT(unlink("folder/file"));
    ATTEMPT(rmdir("folder"));
    look(folder, "file");
    look(folder, ".");
    close(folder);
    folder = open("file", O_RDONLY);
    look(folder, "file");
    look(folder, "none");
    close(folder);
    look(-1, "file");
    ATTEMPT(unlink("fifo"));
    ATTEMPT(chdir(".."));
}

/* Names of one component that are file systems of their own, or lie on one. */
static void looking_across(void)
{
    int root = open("/", O_RDONLY | O_DIRECTORY);
    int dev = open("/dev", O_RDONLY | O_DIRECTORY);
    int proc = open("/proc", O_PATH | O_DIRECTORY);

    look(root, "proc");
    look(root, "dev");
    look(dev, "null");
    look(dev, "none");
    look(proc, "version");
    look(proc, "none");
    close(root);
    close(dev);
    close(proc);
}

static void reading_links(void)
{
    char text[PATH_MAX] = "";

    ATTEMPT(readlink("made/link", text, sizeof(text)));
    puts(text);
    ATTEMPT(readlink("made/link", text, 3));
    ATTEMPT(readlink("made/link", text, 0));
    ATTEMPT(readlink("numbers", text, sizeof(text)));
    ATTEMPT(readlink("made", text, sizeof(text)));
    ATTEMPT(readlink("", text, sizeof(text)));
    ATTEMPT(readlink("none", text, sizeof(text)));
    ATTEMPT(readlink("/proc/self/cwd", text, 5));
    memset(text, 0, sizeof(text));
    ATTEMPT(readlink("/proc/self/exe", text, sizeof(text)) > 0);
    puts(text);
    ATTEMPT(access("/proc/self/exe", X_OK));
}

static void removing_and_renaming(void)
{
    ATTEMPT(rename("made/hard", "made/renamed"));
    ATTEMPT(rename("made/none", "made/renamed"));
    ATTEMPT(rename("made/renamed", "made/deep"));
    ATTEMPT(rename("made", "made/deep/inside"));
    ATTEMPT(rename("made/.", "other"));
    ATTEMPT(rename("made/..", "other"));
    ATTEMPT(rename("made", "/"));
    ATTEMPT(rename("made/link/", "other"));
    ATTEMPT(syscall(SYS_renameat2, AT_FDCWD, "made/renamed", AT_FDCWD, "made/link", 1));
    ATTEMPT(syscall(SYS_renameat2, AT_FDCWD, "made/renamed", AT_FDCWD, "made/link", 2));
    ATTEMPT(syscall(SYS_renameat2, AT_FDCWD, "made/renamed", AT_FDCWD, "made/link", 3));
    show("made/renamed");
    show("made/link");
    ATTEMPT(unlink("made/deep"));
    ATTEMPT(unlink("made/none"));
    ATTEMPT(unlink("numbers/"));
    ATTEMPT(unlink("."));
    ATTEMPT(unlink(""));
    ATTEMPT(rmdir("made"));
    ATTEMPT(rmdir("made/deep/."));
    ATTEMPT(rmdir("made/deep/.."));
    ATTEMPT(rmdir("numbers"));
    ATTEMPT(rmdir("/"));
    ATTEMPT(rmdir("made/deep/"));
    ATTEMPT(unlinkat(AT_FDCWD, "made/renamed", AT_REMOVEDIR));
    ATTEMPT(unlinkat(AT_FDCWD, "made/renamed", 1));
    ATTEMPT(unlinkat(AT_FDCWD, "made/renamed", 0));
    list("made");
}

static void relative_to_directories(void)
{
    char cwd[PATH_MAX];
    size_t base = strlen(getcwd(cwd, sizeof(cwd)));
    struct stat st;
    int tree = open("tree", O_RDONLY | O_DIRECTORY);
    int path_only = open("tree/inner", O_PATH);
    int file = open("numbers", O_RDONLY);

    ATTEMPT(fstatat(tree, "words", &st, 0));
    ATTEMPT(fstatat(tree, "../numbers", &st, 0));
    ATTEMPT(fstatat(path_only, "../../numbers", &st, 0));
    ATTEMPT(fstatat(path_only, "", &st, AT_EMPTY_PATH));
    ATTEMPT(S_ISDIR(st.st_mode));
    ATTEMPT(fstatat(path_only, "", &st, 0));
    ATTEMPT(fstatat(file, "x", &st, 0));
    ATTEMPT(fstatat(999, "x", &st, 0));
    ATTEMPT(fstatat(999, "/", &st, 0));
    ATTEMPT(fstatat(tree, "words", &st, 0x10));
    ATTEMPT(faccessat(tree, "words", R_OK, 0));
    ATTEMPT(faccessat(tree, "words", 64, 0));
    ATTEMPT(fchdir(path_only));
    ATTEMPT(getcwd(cwd, sizeof(cwd)) != NULL);
    puts(cwd + base);
    ATTEMPT(access("file", R_OK));
    ATTEMPT(chdir("../link"));
    ATTEMPT(chdir("none"));
    ATTEMPT(chdir("../../../../../../../../.."));
    ATTEMPT(syscall(SYS_getcwd, cwd, sizeof(cwd)));
    puts(cwd);
    ATTEMPT(fchdir(tree));
    ATTEMPT(chdir(".."));
    ATTEMPT(syscall(SYS_getcwd, cwd, 2));
    ATTEMPT(mkdir("gone", 0700));
    ATTEMPT(chdir("gone"));
    ATTEMPT(rmdir("../gone"));
    ATTEMPT(syscall(SYS_getcwd, cwd, sizeof(cwd)));
    ATTEMPT(open("new", O_CREAT | O_WRONLY, 0600));
    ATTEMPT(fchdir(tree));
    ATTEMPT(rename("../tree", "../moved"));
    ATTEMPT(getcwd(cwd, sizeof(cwd)) != NULL);
    puts(cwd + base);
    ATTEMPT(access("../numbers", R_OK));
    ATTEMPT(chdir(".."));
    ATTEMPT(fchdir(file));
    ATTEMPT(fchdir(999));
    close(tree);
    close(path_only);
    close(file);
}

static void show_times(const char *path)
{
    struct stat st;

    ATTEMPT(lstat(path, &st));
    printf("%s: %ld.%09ld %ld.%09ld\n", path, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
           st.st_mtim.tv_nsec);
}

static void attributes(void)
{
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    struct timespec omit[2] = {{0, UTIME_OMIT}, {3000, 0}};
    struct timespec wrong[2] = {{0, 2000000000}, {0, 0}};
    struct timeval older[2] = {{5, 6}, {7, 8}};
    struct statfs fs;
    char value[100];
    int fd = open("numbers", O_RDWR);

    ATTEMPT(umask(027));
    ATTEMPT(close(open("masked", O_CREAT | O_WRONLY, 0777)));
    show("masked");
    ATTEMPT(mkdir("masked_directory", 01777));
    show("masked_directory");
    ATTEMPT(umask(0));
    ATTEMPT(close(open("unmasked", O_CREAT | O_WRONLY, 0666)));
    show("unmasked");
    ATTEMPT(chmod("masked", 0604));
    ATTEMPT(fchmod(fd, 0600));
    ATTEMPT(chmod("none", 0600));
    ATTEMPT(chown("masked", -1, -1));
    ATTEMPT(lchown("loop", getuid(), -1));
    ATTEMPT(fchown(fd, -1, getgid()));
    ATTEMPT(utimensat(AT_FDCWD, "masked", times, 0));
    show_times("masked");
    ATTEMPT(futimens(fd, omit) == 0);
    ATTEMPT(utimensat(AT_FDCWD, "masked", wrong, 0));
    ATTEMPT(utimensat(AT_FDCWD, "loop", times, AT_SYMLINK_NOFOLLOW));
    show_times("loop");
    ATTEMPT(utimes("masked", older));
    show_times("masked");
    ATTEMPT(truncate("masked", 77));
    ATTEMPT(truncate("masked", -1));
    ATTEMPT(truncate("tree", 1));
    ATTEMPT(truncate("none", 1));
    show("masked");
    show("numbers");
    ATTEMPT(statfs(".", &fs));
    ATTEMPT(fstatfs(fd, &fs));
    ATTEMPT(statfs("none", &fs));
    ATTEMPT(getxattr("numbers", "user.none", value, sizeof(value)));
    ATTEMPT(listxattr("numbers", value, sizeof(value)));
    ATTEMPT(lgetxattr("loop", "security.selinux", value, sizeof(value)));
    ATTEMPT(chmod("numbers", 0644));
    close(fd);
}

int main(void)
{
    close_range(3, ~0U, 0);
    umask(022);
    making();
    looking();
    looking_across();
    reading_links();
    removing_and_renaming();
    relative_to_directories();
    attributes();
    return 0;
}
