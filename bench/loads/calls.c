/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * calls NAME MS - prints the ns of one call of that name as a program makes it, with its bytes, mappings and processes:
 * the best of many short rounds, for what disturbs a round can only slow it down. `calls` alone lists the names.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define PAGE         4096
#define LARGEST      65536
#define ROUND_NS     5e6 /* how long a round takes, about */
#define ROUNDS_LEAST 5

static char folder[] = "/tmp/calls-XXXXXX";
static int file = -1;
static int ends[2];
static char buffer[LARGEST];

static void fail(const char *what)
{
    fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what each needs first ---- */

static void remove_folder(void)
{
    if (file >= 0)
        unlink("data");
    rmdir(folder);
}

static void make_file(void)
{
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        fail(folder);
    file = open("data", O_RDWR | O_CREAT | O_EXCL, 0600);
    atexit(remove_folder);
    if (file < 0 || pwrite(file, buffer, LARGEST, 0) != LARGEST)
        fail("data");
}

static void make_pipe(void)
{
    if (pipe(ends) != 0)
        fail("pipe");
}

static _Atomic int turn; /* 1: the peer's */

static void wait_for_turn(int mine)
{
    while (atomic_load(&turn) != mine)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
}

static void give_turn(int to)
{
    atomic_store(&turn, to);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer_turns(void *unused)
{
    for (;;) {
        wait_for_turn(1);
        give_turn(0);
    }
    return unused;
}

static void make_peer(void)
{
    pthread_t peer;

    errno = pthread_create(&peer, NULL, answer_turns, NULL);
    if (errno != 0)
        fail("pthread_create");
}

/* ---- the calls; each says whether it did what it should ---- */

static bool call_lseek(size_t size)
{
    return lseek(file, (off_t)size, SEEK_SET) == (off_t)size;
}

static bool call_pread(size_t size)
{
    return pread(file, buffer, size, 0) == (ssize_t)size;
}

static bool call_pwrite(size_t size)
{
    return pwrite(file, buffer, size, 0) == (ssize_t)size;
}

static bool call_fstat(size_t size)
{
    struct stat status;

    return fstat(file, &status) == 0 && status.st_size == (off_t)size;
}

static bool call_stat(size_t size)
{
    struct stat status;

    return stat("data", &status) == 0 && status.st_size == (off_t)size;
}

static bool call_open_close(size_t size)
{
    int opened = open("data", O_RDONLY);

    (void)size;
    return opened >= 0 && close(opened) == 0;
}

static bool call_pipe(size_t size)
{
    return write(ends[1], buffer, size) == (ssize_t)size && read(ends[0], buffer, size) == (ssize_t)size;
}

static bool call_map(size_t size)
{
    char *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mapped == MAP_FAILED)
        return false;
    *(volatile char *)mapped = 1;
    return munmap(mapped, size) == 0;
}

static bool call_clock_by_kernel(size_t size)
{
    struct timespec now;

    (void)size;
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0;
}

static bool call_clock(size_t size)
{
    struct timespec now;

    (void)size;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0;
}

static bool call_futex(size_t size)
{
    (void)size;
    give_turn(1);
    wait_for_turn(0);
    return true;
}

static bool ends_well(pid_t child)
{
    int status = 1;

    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool call_fork(size_t size)
{
    pid_t child = fork();

    (void)size;
    if (child == 0)
        _exit(0);
    return ends_well(child);
}

static bool call_vfork_exec(size_t size)
{
    pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): what is measured */

    (void)size;
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    return ends_well(child);
}

static const struct call {
    const char *name;
    void (*prepare)(void);
    bool (*make)(size_t size);
    size_t size;
} calls[] = {
    {"lseek", make_file, call_lseek, 0},
    {"pwrite_8", make_file, call_pwrite, 8},
    {"pwrite_512", make_file, call_pwrite, 512},
    {"pwrite_4k", make_file, call_pwrite, PAGE},
    {"pwrite_64k", make_file, call_pwrite, LARGEST},
    {"pread_8", make_file, call_pread, 8},
    {"pread_512", make_file, call_pread, 512},
    {"pread_4k", make_file, call_pread, PAGE},
    {"pread_64k", make_file, call_pread, LARGEST},
    {"fstat", make_file, call_fstat, LARGEST},
    {"stat", make_file, call_stat, LARGEST},
    {"open_close", make_file, call_open_close, 0},
    {"pipe", make_pipe, call_pipe, 1},
    {"map", NULL, call_map, PAGE},
    {"clock_by_kernel", NULL, call_clock_by_kernel, 0},
    {"clock", NULL, call_clock, 0},
    {"futex", make_peer, call_futex, 0},
    {"fork", NULL, call_fork, 0},
    {"vfork_exec", NULL, call_vfork_exec, 0},
};
#define CALL_COUNT (sizeof(calls) / sizeof(calls[0]))

/* ---- the measuring ---- */

static double ns_of_round(const struct call *call, unsigned long count)
{
    double start = load_seconds_now();

    for (unsigned long i = 0; i < count; i++)
        if (!call->make(call->size))
            fail(call->name);
    return (load_seconds_now() - start) * 1e9 / (double)count;
}

/* As many calls as fill a round. The first ones are warm-up, too. */
static unsigned long calls_of_round(const struct call *call)
{
    unsigned long count = 1;

    while (ns_of_round(call, count) * (double)count < ROUND_NS)
        count *= 2;
    return count;
}

static double best_ns(const struct call *call, double seconds)
{
    unsigned long count = calls_of_round(call);
    double end = load_seconds_now() + seconds;
    double best = ns_of_round(call, count);

    for (int rounds = 1; rounds < ROUNDS_LEAST || load_seconds_now() < end; rounds++) {
        double ns = ns_of_round(call, count);

        best = ns < best ? ns : best;
    }
    return best;
}

static const struct call *find_call(const char *name)
{
    for (size_t i = 0; i < CALL_COUNT; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

static int list_names(void)
{
    for (size_t i = 0; i < CALL_COUNT; i++)
        puts(calls[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    const struct call *call = argc > 1 ? find_call(argv[1]) : NULL;
    double seconds;

    if (argc == 1)
        return list_names();
    seconds = (double)load_argument(argc, argv, 2, "calls [NAME MS]") / 1000;
    if (call == NULL) {
        fprintf(stderr, "calls: no call has the name %s; `calls` lists them\n", argv[1]);
        return 2;
    }
    if (call->prepare != NULL)
        call->prepare();
    printf("%.1f\n", best_ns(call, seconds));
    return 0;
}
