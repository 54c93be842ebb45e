/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Makes one call of each kind, with its name set around it: what the kernel
 * does between two names belongs to that row. What is made once for all of a
 * process, such as the first growth of a table, is made before.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE 65536
#define PAGE  4096
#define WORDS 20
#define PARTS 4

static char buffer[LARGE];
static struct stat st;
static struct statx stx;
static struct timespec now;
static unsigned int word;

/* Makes the call twice, the second time as a row. */
#define ROW(name, call)                                                                                                \
    do {                                                                                                               \
        (void)!(call);                                                                                                 \
        prctl(PR_SET_NAME, name);                                                                                      \
        (void)!(call);                                                                                                 \
        prctl(PR_SET_NAME, "");                                                                                        \
    } while (0)

static long fork_and_wait(void)
{
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);

    if (child == 0)
        syscall(SYS_exit_group, 0);
    return syscall(SYS_wait4, child, NULL, 0, NULL);
}

/* Arguments and environment that lie together in two pages, as a program has them from its own start. */
static void execute(const char *self)
{
    static struct {
        char *arguments[WORDS + 1];
        char *environment[WORDS + 1];
        char texts[2 * WORDS][64];
    } list __attribute__((aligned(4096)));
    pid_t child;

    for (int i = 0; i < WORDS; i++) {
        memset(list.texts[i], 'a', 63);
        memset(list.texts[WORDS + i], 'e', 63);
        list.arguments[i] = list.texts[i];
        list.environment[i] = list.texts[WORDS + i];
    }
    child = vfork();
    if (child == 0) {
        execve(self, list.arguments, list.environment);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

static void sets_of(const int ends[2], fd_set sets[3])
{
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(ends[i == 1], &sets[i]);
    }
}

static void parts_of(char *bytes, struct iovec parts[PARTS])
{
    for (int i = 0; i < PARTS; i++)
        parts[i] = (struct iovec){.iov_base = bytes + (size_t)100 * (size_t)i, .iov_len = 20};
}

static void bytes(void)
{
    struct iovec parts[PARTS];
    fd_set sets[3];
    char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int file = open("file", O_RDWR);
    int ends[2];

    ROW("lseek", lseek(file, 0, SEEK_SET));
    ROW("pwrite 8", pwrite(file, buffer, 8, 0));
    ROW("pwrite 512", pwrite(file, buffer, 512, 0));
    ROW("pwrite 64 KiB", pwrite(file, buffer, LARGE, 0));
    ROW("pread 8", pread(file, buffer, 8, 0));
    ROW("pread 4 KiB", pread(file, page, PAGE, 0));
    ROW("pread 2 pages", pread(file, page, 2 * PAGE, 0));
    ROW("pread, shared", pread(file, shared, 8, 0));
    ROW("pread 64 KiB", pread(file, buffer, LARGE, 0));
    ROW("fstat", syscall(SYS_fstat, file, &st));
    close(file);
    (void)!pipe(ends);
    ROW("pipe write", write(ends[1], buffer, 1));
    ROW("pipe read", read(ends[0], buffer, 1));
    parts_of(buffer, parts);
    ROW("pipe writev", writev(ends[1], parts, PARTS));
    ROW("pipe readv", readv(ends[0], parts, PARTS));
    sets_of(ends, sets);
    ROW("select", syscall(SYS_select, ends[1] + 1, &sets[0], &sets[1], &sets[2], NULL));
    close(ends[0]);
    close(ends[1]);
    ROW("pipe, close", syscall(SYS_pipe2, ends, 0) + syscall(SYS_close, ends[0]) + syscall(SYS_close, ends[1]));
}

static void names(void)
{
    ROW("stat", syscall(SYS_newfstatat, AT_FDCWD, "file", &st, 0));
    ROW("stat a link", syscall(SYS_newfstatat, AT_FDCWD, "link", &st, 0));
    ROW("lstat a link", syscall(SYS_newfstatat, AT_FDCWD, "link", &st, AT_SYMLINK_NOFOLLOW));
    ROW("stat deep", syscall(SYS_newfstatat, AT_FDCWD, "/folder/file", &st, 0));
    ROW("stat none", syscall(SYS_newfstatat, AT_FDCWD, "none", &st, 0));
    ROW("statx", syscall(SYS_statx, AT_FDCWD, "file", 0, STATX_BASIC_STATS, &stx));
    ROW("statx deep", syscall(SYS_statx, AT_FDCWD, "/folder/file", 0, STATX_BASIC_STATS, &stx));
    ROW("access", syscall(SYS_faccessat, AT_FDCWD, "file", F_OK));
    ROW("access to read", syscall(SYS_faccessat, AT_FDCWD, "file", R_OK));
    ROW("open, close", syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY)));
    ROW("open deep", syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "/folder/file", O_RDONLY)));
    ROW("open a folder", syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "folder", O_RDONLY | O_DIRECTORY)));
    ROW("open to write", syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY | O_CREAT | O_TRUNC, 0600)));
    ROW("create", syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600)) +
                      syscall(SYS_unlinkat, AT_FDCWD, "new", 0));
}

static void others(void)
{
    char *page = mmap(NULL, LARGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ROW("getppid", syscall(SYS_getppid));
    ROW("mmap, munmap", syscall(SYS_mmap, page, LARGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) +
                            syscall(SYS_munmap, page, LARGE));
    ROW("clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
    ROW("futex wake", syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0));
    ROW("futex wait", syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0));
    ROW("timed wait", syscall(SYS_futex, &word, FUTEX_WAIT, 1, &now, NULL, 0));
    ROW("fork", fork_and_wait());
}

/* Another process waits for a pipe all the time. Whether it has come that far changes nothing: then nobody looks. */
static void beside_a_wait(void)
{
    int ends[2];
    pid_t child;

    (void)!pipe(ends);
    child = fork();
    if (child == 0) {
        close(ends[1]);
        _exit((int)read(ends[0], buffer, 1));
    }
    usleep(20000);
    prctl(PR_SET_NAME, "beside a wait");
    for (int i = 0; i < 1000; i++)
        syscall(SYS_getppid);
    prctl(PR_SET_NAME, "");
    close(ends[1]);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    /* That is what execute() starts. */
    if (argc != 1)
        return 0;
    bytes();
    names();
    others();
    beside_a_wait();
    execute(argv[0]);
    return 0;
}
