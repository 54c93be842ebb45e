/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What calls read and write at the end of memory, often enough for their sites to be patched: paths, bytes, structs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define PAGE   4096
#define ROUNDS 50

static char *page; /* behind it there is nothing */
static int file;

/* The last so many bytes that there are. */
static char *last(size_t bytes)
{
    return page + PAGE - bytes;
}

/* A name of that many letters, with its 0 byte as the last there is. */
static const char *name_at_end(size_t letters)
{
    char *name = last(letters + 1);

    memset(name, 'n', letters);
    name[letters] = '\0';
    return name;
}

/* How looking at it ends: 0 or errno. The same call site each time. */
static int look_at(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? 0 : errno;
}

static void check_paths(void)
{
    static const size_t letters[] = {1, 7, 100, 254, 255, 256, 257, 300};
    char *words = last(sizeof("tree/words"));

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        printf("%zu letters: %d\n", letters[i], look_at(name_at_end(letters[i])));
    memcpy(words, "tree/words", sizeof("tree/words"));
    REPORT(look_at(words) == 0);
    memset(last(300), 'n', 300);
    REPORT(look_at(last(1)) == EFAULT && look_at(last(100)) == EFAULT && look_at(last(256)) == EFAULT);
    REPORT(look_at(last(300)) == EFAULT && look_at(page + PAGE) == EFAULT && look_at(NULL) == EFAULT);
    REPORT(look_at("") == ENOENT);
    /* Long, and there: each "./" changes nothing. */
    for (size_t length = 250; length <= 260; length += 2) {
        char *path = last(length + sizeof("tree/words"));

        for (size_t i = 0; i < length; i += 2)
            memcpy(path + i, "./", 2);
        memcpy(path + length, "tree/words", sizeof("tree/words"));
        REPORT(look_at(path) == 0);
    }
}

static void check_writes(void)
{
    static const size_t wanted[] = {0, 1, 8, 511, 512, 513, 4096, 5000};
    static const size_t there[] = {1, 8, 100, 512, 513, 4096};

    memset(page, 'x', PAGE);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        for (size_t j = 0; j < sizeof(there) / sizeof(there[0]); j++) {
            ssize_t put = pwrite(file, last(there[j]), wanted[i], 0);

            /* Where memory ends in the middle Linux writes what its file system makes of that. */
            if (wanted[i] <= there[j])
                REPORT(put == (ssize_t)wanted[i]);
            else
                REPORT(put == -1 ? errno == EFAULT : put <= (ssize_t)there[j]);
        }
    }
    REPORT(pwrite(file, page + PAGE, 8, 0) == -1 && errno == EFAULT);
}

#define CONTENT 5000

static char content[CONTENT];

static void make_content(void)
{
    for (size_t i = 0; i < CONTENT; i++)
        content[i] = (char)('a' + i % 23);
    REPORT(pwrite(file, content, CONTENT, 0) == CONTENT);
}

/* What a read of so many bytes says, with so many there from this address on. */
static void check_read(char *at, size_t wanted, size_t there)
{
    ssize_t got;

    memset(at, '-', there);
    REPORT(lseek(file, 0, SEEK_SET) == 0);
    got = read(file, at, wanted);
    if (wanted <= there)
        REPORT(got == (ssize_t)wanted);
    else
        REPORT(got == -1 ? errno == EFAULT : got <= (ssize_t)there);
    REPORT(lseek(file, 0, SEEK_CUR) == (got > 0 ? got : 0));
    REPORT(got <= 0 || memcmp(at, content, (size_t)got) == 0);
    for (size_t i = wanted; i < there; i++)
        wrong += at[i] != '-';
}

static void check_reads(void)
{
    static const size_t wanted[] = {0, 1, 8, 511, 512, 513, 4095, 4096, 4097, 5000};
    static const size_t there[] = {1, 8, 100, 512, 513, 4096};

    make_content();
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        for (size_t j = 0; j < sizeof(there) / sizeof(there[0]); j++)
            check_read(last(there[j]), wanted[i], there[j]);
    REPORT(pread(file, page + PAGE, 8, 0) == -1 && errno == EFAULT);
    REPORT(pread(file, page, 8, CONTENT - 3) == 3 && memcmp(page, content + CONTENT - 3, 3) == 0);
    REPORT(pread(file, page, 8, CONTENT) == 0);
}

/* Reads that end in, or go over, memory of each kind. */
static void check_kinds(void)
{
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char *pages = mmap(NULL, 3 * (size_t)PAGE, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    char *of_file;

    REPORT(mprotect(pages + PAGE, PAGE, PROT_READ) == 0);
    check_read(pages + PAGE - 8, 16, 8);
    REPORT(pread(file, pages + PAGE, 8, 0) == -1 && errno == EFAULT);
    REPORT(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    check_read(pages + PAGE - 8, 16, 16);
    REPORT(mmap(pages + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
           MAP_FAILED);
    check_read(pages + PAGE - 8, 16, 16);
    check_read(pages + PAGE, 16, PAGE);
    REPORT(munmap(pages, 3 * (size_t)PAGE) == 0);
    /* The file ends in the first page: there is no second one. */
    REPORT(ftruncate(file, 2 * (off_t)PAGE) == 0);
    of_file = mmap(NULL, 2 * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    REPORT(of_file != MAP_FAILED && ftruncate(file, 100) == 0);
    REPORT(pread(file, of_file, 100, 0) == 100 && memcmp(of_file, content, 100) == 0);
    REPORT(pread(file, of_file + PAGE, 8, 0) == -1 && errno == EFAULT);
    check_read(of_file + PAGE - 8, 16, 8);
    REPORT(munmap(of_file, 2 * (size_t)PAGE) == 0);
}

static void check_structs(void)
{
    struct stat *status = (struct stat *)last(sizeof(*status));
    struct timespec *now = (struct timespec *)last(sizeof(*now));
    struct stat same;

    REPORT(fstat(file, status) == 0 && fstat(file, &same) == 0 && status->st_ino == same.st_ino);
    REPORT(fstat(file, (struct stat *)last(sizeof(*status) - 8)) == -1 && errno == EFAULT);
    REPORT(fstat(file, (struct stat *)(page + PAGE)) == -1 && errno == EFAULT);
    REPORT(stat("tree", (struct stat *)last(8)) == -1 && errno == EFAULT);
    REPORT(stat("tree", status) == 0 && S_ISDIR(status->st_mode));
    memset(now, 0, sizeof(*now));
    REPORT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, now) == 0 && now->tv_nsec != 0);
    REPORT(fstat(-1, status) == -1 && errno == EBADF && S_ISDIR(status->st_mode));
}

static volatile sig_atomic_t alarms;
static volatile ino_t seen_inode;
static struct stat looked_at;

static void look_in_handler(int signal)
{
    (void)signal;
    alarms++;
    seen_inode = looked_at.st_ino;
}

/* A handler that runs right behind the call finds what that wrote, and the call's result is the same behind it. */
static void check_signals(void)
{
    struct sigaction action = {.sa_handler = look_in_handler};
    sigset_t alarm_only;
    struct stat same = {0};

    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGUSR1);
    sigprocmask(SIG_BLOCK, &alarm_only, NULL);
    kill(getpid(), SIGUSR1);
    REPORT(fstat(file, &looked_at) == 0 && fstat(file, &same) == 0);
    REPORT(fstat(file, (struct stat *)last(8)) == -1 && errno == EFAULT);
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    REPORT(alarms > 0 && seen_inode == same.st_ino);
}

int main(void)
{
    page = mmap(NULL, 2 * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file = open("written", O_RDWR | O_CREAT | O_TRUNC, 0600);
    REPORT(page != MAP_FAILED && munmap(page + PAGE, PAGE) == 0 && file >= 0);
    for (int i = 0; i < ROUNDS; i++) {
        check_paths();
        check_writes();
        check_reads();
        check_kinds();
        check_structs();
        check_signals();
    }
    return ftruncate(file, 0) != 0 || report_status();
}
