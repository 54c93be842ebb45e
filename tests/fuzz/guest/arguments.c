/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Arguments from a pool that knows what calls ask for: right, nearly right, and wrong. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

/* Shared by all processes of the run, so that one changes what another's call is about to read. */
#define ARENA_PAGES 16
static unsigned char *arena;

/* What calls that change mappings work on: nothing else lies there, nor as far behind as a length reaches. */
#define VICTIM_PAGES 64
#define MARGIN_PAGES 64
static unsigned char *victims;

static unsigned char *unreadable, *read_only;

#define PICK(dice, list) (list)[dice_below(dice, sizeof(list) / sizeof((list)[0]))]

void arguments_prepare(void)
{
    int map = MAP_SHARED | MAP_ANONYMOUS;

    arena = mmap(NULL, (ARENA_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, map, -1, 0);
    munmap(arena + ARENA_PAGES * PAGE, PAGE);
    victims =
        mmap(NULL, (VICTIM_PAGES + MARGIN_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unreadable = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Room for a structure: aligned, and now and then so close to the arena's end that it does not fit. */
static unsigned char *place(struct dice *dice, size_t size)
{
    size_t end = ARENA_PAGES * PAGE;

    if (dice_once_in(dice, 16))
        return arena + end - dice_below(dice, size + 8) / 8 * 8;
    return arena + dice_below(dice, (end - size) / 8) * 8;
}

static void put(void *where, const void *what, size_t size)
{
    unsigned char *to = where;
    unsigned char *end = arena + ARENA_PAGES * PAGE;

    if (to + size > end)
        size = (size_t)(end - to);
    memcpy(to, what, size);
}

static uint64_t make_number(struct dice *dice)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     7,
                                     8,
                                     63,
                                     64,
                                     65,
                                     127,
                                     128,
                                     255,
                                     256,
                                     1023,
                                     1024,
                                     1025,
                                     4095,
                                     4096,
                                     65535,
                                     65536,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7ffff000,
                                     INT64_MAX,
                                     (uint64_t)INT64_MIN,
                                     UINT64_MAX,
                                     UINT64_MAX - 4095};

    if (dice_once_in(dice, 8))
        return dice_throw(dice);
    return dice_once_in(dice, 3) ? dice_below(dice, 16) : PICK(dice, edges);
}

/* Never between a megabyte and what every limit of the run refuses: a run shall stay small. */
static uint64_t make_size(struct dice *dice)
{
    static const uint64_t sizes[] = {0, 1, 8, 16, 100, 1000, 4095, 4096, 4097, 16384, 65535, 65536, 200000, 1048576};
    static const uint64_t huge[] = {UINT64_C(1) << 47, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 4095};

    return dice_once_in(dice, 10) ? PICK(dice, huge) : PICK(dice, sizes);
}

static uint64_t make_descriptor(struct dice *dice)
{
    static const int64_t odd[] = {-1, AT_FDCWD, 63, 64, 255, 256, 1023, 1024, 65535, 65536, INT32_MAX, INT32_MIN};

    return dice_once_in(dice, 12) ? (uint64_t)PICK(dice, odd) : dice_below(dice, 24);
}

static uint64_t make_process(struct dice *dice)
{
    static const int64_t odd[] = {0, 0, -1, INT32_MIN, INT32_MAX, 4194304, -4194304};

    switch (dice_below(dice, 6)) {
    case 0:
        return (uint64_t)PICK(dice, odd);
    case 1:
        return (uint64_t)syscall(SYS_getpid);
    case 2:
        return (uint64_t)syscall(SYS_gettid);
    case 3:
        return -(uint64_t)dice_below(dice, 40) - 2;
    default:
        /* Not 1: with the first process the run is over. */
        return 2 + dice_below(dice, 60);
    }
}

static uint64_t make_signal(struct dice *dice)
{
    static const int signals[] = {SIGKILL, SIGCHLD, SIGSTOP, SIGCONT, SIGSEGV, SIGALRM, SIGUSR1, SIGPIPE, 0, 32, 64};

    if (dice_once_in(dice, 16))
        return make_number(dice);
    return dice_once_in(dice, 2) ? (uint64_t)PICK(dice, signals) : dice_below(dice, 66);
}

static uint64_t make_flags(struct dice *dice)
{
    uint64_t flags = 0;

    for (uint64_t left = dice_below(dice, 4); left > 0; left--)
        flags |= UINT64_C(1) << dice_below(dice, dice_once_in(dice, 8) ? 64 : 24);
    return flags;
}

static uint64_t make_time(struct dice *dice)
{
    static const int64_t odd[] = {-1, INT64_MIN, INT64_MAX, 1000000000, 999999999, INT64_MAX / 1000000000};
    struct timespec time = {.tv_nsec = (long)dice_below(dice, 3000000)};
    unsigned char *where = place(dice, 2 * sizeof(time));

    if (dice_once_in(dice, 10))
        time.tv_sec = PICK(dice, odd);
    if (dice_once_in(dice, 10))
        time.tv_nsec = PICK(dice, odd);
    put(where, &time, sizeof(time));
    put(where + sizeof(time), &time, dice_once_in(dice, 2) ? sizeof(time) : 0);
    return (uint64_t)(uintptr_t)where;
}

/* Not /proc/self/exe: nothing keeps a guest from cutting the file that all of them run from. */
static uint64_t make_path(struct dice *dice)
{
    static const char *const paths[] = {"/",
                                        "a",
                                        "b",
                                        "folder",
                                        "folder/c",
                                        "../..",
                                        "/folder/../a",
                                        "",
                                        "link",
                                        "/proc/self",
                                        "loop/x/y",
                                        "/proc/self/root",
                                        "fifo",
                                        "/proc/self/fd",
                                        "/proc/self/fd/1",
                                        "/dev/fd",
                                        ".",
                                        "/dev/fd/3",
                                        "/proc/self/cwd",
                                        "a/",
                                        "/proc/self/maps",
                                        "/proc/1/status",
                                        "..",
                                        "/nowhere/x",
                                        "link/link/",
                                        "/proc/self/comm",
                                        "./folder/.",
                                        "/proc/mounts",
                                        "//folder//"};
    char text[64];
    size_t length = strlen(strncpy(text, PICK(dice, paths), sizeof(text) - 1));
    unsigned char *where = place(dice, sizeof(text));

    put(where, text, length + (dice_once_in(dice, 20) ? 0 : 1));
    return (uint64_t)(uintptr_t)where;
}

static uint64_t make_address(struct dice *dice);

static uint64_t make_spans(struct dice *dice)
{
    unsigned char *where = place(dice, 16 * sizeof(struct iovec));

    for (size_t i = 0; i < 8; i++) {
        struct iovec span = {.iov_base = (void *)(uintptr_t)make_address(dice), .iov_len = make_size(dice)};
        put(where + i * sizeof(span), &span, sizeof(span));
    }
    return (uint64_t)(uintptr_t)where;
}

static uint64_t make_polled(struct dice *dice)
{
    unsigned char *where = place(dice, 16 * sizeof(struct pollfd));

    for (size_t i = 0; i < 8; i++) {
        struct pollfd polled = {.fd = (int)make_descriptor(dice), .events = (short)dice_throw(dice)};
        put(where + i * sizeof(polled), &polled, sizeof(polled));
    }
    return (uint64_t)(uintptr_t)where;
}

/* A few words that everybody uses, so that they meet; they hold small numbers. */
static uint64_t make_futex(struct dice *dice)
{
    if (dice_once_in(dice, 20))
        return make_address(dice);
    return (uint64_t)(uintptr_t)(arena + dice_below(dice, 4) * (dice_once_in(dice, 20) ? 2 : 4));
}

static uint64_t make_structure(struct dice *dice)
{
    unsigned char *where = place(dice, 128);

    for (size_t i = 0; i < 8; i++) {
        uint64_t word = dice_once_in(dice, 4) ? make_address(dice) : make_number(dice);
        if (dice_once_in(dice, 4))
            word = make_signal(dice) | make_number(dice) << 32;
        put(where + i * sizeof(word), &word, sizeof(word));
    }
    return (uint64_t)(uintptr_t)where;
}

static uint64_t make_address(struct dice *dice)
{
    switch (dice_below(dice, 24)) {
    case 0:
        return 0;
    case 1:
        return make_number(dice);
    case 2:
        return (uint64_t)(uintptr_t)unreadable + dice_below(dice, PAGE);
    case 3:
        return (uint64_t)(uintptr_t)read_only + dice_below(dice, PAGE);
    case 4:
        return UINT64_C(0xffffffff80000000);
    case 5:
        return (uint64_t)(uintptr_t)&make_address;
    case 6:
        return (uint64_t)(uintptr_t)victims + dice_below(dice, VICTIM_PAGES * PAGE);
    default:
        return (uint64_t)(uintptr_t)place(dice, dice_once_in(dice, 2) ? 64 : 4096);
    }
}

static uint64_t make_victim(struct dice *dice)
{
    uint64_t addr = (uint64_t)(uintptr_t)victims + dice_below(dice, VICTIM_PAGES) * PAGE;

    if (dice_once_in(dice, 16))
        return make_number(dice) & ~(uint64_t)(PAGE - 1) & (dice_once_in(dice, 2) ? 0 : UINT64_MAX);
    return dice_once_in(dice, 16) ? addr + 1 : addr;
}

static uint64_t make_memory_size(struct dice *dice)
{
    static const uint64_t odd[] = {0, 1, 4095, UINT64_C(1) << 47, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 4095};

    return dice_once_in(dice, 10) ? PICK(dice, odd) : (1 + dice_below(dice, 16)) * PAGE;
}

uint64_t argument_make(struct dice *dice, char kind)
{
    switch (kind) {
    case 'a':
        return make_address(dice);
    case 'c':
        return dice_below(dice, 18) - 3;
    case 'd':
        return make_descriptor(dice);
    case 'f':
        return make_flags(dice);
    case 'i':
        return dice_below(dice, 24);
    case 'l':
        return make_memory_size(dice);
    case 'm':
        return make_victim(dice);
    case 'n':
        return dice_once_in(dice, 4) ? make_number(dice) : dice_below(dice, 9);
    case 'p':
        return make_path(dice);
    case 'q':
        return make_polled(dice);
    case 'r':
        return make_structure(dice);
    case 's':
        return make_signal(dice);
    case 't':
        return make_time(dice);
    case 'u':
        return make_futex(dice);
    case 'v':
        return make_spans(dice);
    case 'w':
        return make_process(dice);
    case 'z':
        return make_size(dice);
    case '8':
        return dice_once_in(dice, 20) ? make_number(dice) : 8;
    default:
        return make_number(dice);
    }
}
