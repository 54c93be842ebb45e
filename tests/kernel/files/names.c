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
    reading_links();
    removing_and_renaming();
    relative_to_directories();
    attributes();
    return 0;
}
