/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* poll and select: waiting for several files at once. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_deadline.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"

/* Only looks. ppoll(2) is the one call of its kind that the kernel makes of the host. */
static const struct timespec no_time;

/* Calls with up to this many files need no memory of their own. */
#define FEW_FILES 64

/* ------------------------------------------------------------------------
 * poll
 */

/* The guest's array, and what the host is asked, entry by entry. */
struct poll_set {
    struct pollfd *guest;
    struct pollfd *host;
    uint32_t count;
};

/* What the host is asked: entries that cannot be asked have descriptor -1, which poll(2) passes over. */
static void ask_for(const struct task *task, struct poll_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct file *file = set->guest[i].fd < 0 ? NULL : task_file(task, (uint64_t)set->guest[i].fd);
        bool usable = file != NULL && (file->status & O_PATH) == 0;

        set->host[i] = (struct pollfd){.fd = usable ? file->host_fd : -1, .events = set->guest[i].events};
        set->guest[i].revents = !usable && set->guest[i].fd >= 0 ? POLLNVAL : 0;
    }
}

/* Looks without waiting. How many entries have something to say, or -errno. */
static int64_t look(struct poll_set *set)
{
    int64_t found = 0;

    if (ppoll(set->host, set->count, &no_time, NULL) < 0)
        return -errno;
    for (uint32_t i = 0; i < set->count; i++) {
        set->guest[i].revents = (short)(set->guest[i].revents | set->host[i].revents);
        if (set->guest[i].revents != 0)
            found++;
    }
    return found;
}

static int64_t poll_set_run(struct task *task, struct poll_set *set, uint64_t addr, int64_t deadline)
{
    size_t size = set->count * sizeof(*set->guest);
    int64_t found = read_once(task, addr, set->guest, size);

    if (found != 0)
        return found;
    ask_for(task, set);
    found = look(set);
    if (found == 0 && deadline != DEADLINE_NOW)
        return wait_for_files(task, set->host, set->count, deadline);
    if (found >= 0 && guest_write(task_memory(task), addr, set->guest, size) != 0)
        return -EFAULT;
    return found;
}

static int64_t poll_until(struct task *task, uint64_t addr, uint64_t count, int64_t deadline)
{
    struct pollfd few[2 * FEW_FILES];
    struct poll_set set = {.guest = few, .host = few + FEW_FILES, .count = (uint32_t)count};
    int64_t result;

    if (count > task_fd_limit(task))
        return -EINVAL;
    if (count > FEW_FILES) {
        set.guest = calloc(2 * count, sizeof(*set.guest));
        if (set.guest == NULL)
            return -ENOMEM;
        set.host = set.guest + count;
    }
    result = poll_set_run(task, &set, addr, deadline);
    if (set.guest != few)
        free(set.guest);
    return result;
}

int64_t call_poll(struct task *task, const uint64_t args[6])
{
    return poll_until(task, args[0], (uint32_t)args[1], deadline_of_milliseconds(task, (int32_t)args[2]));
}

int64_t call_ppoll(struct task *task, const uint64_t args[6])
{
    int64_t deadline;
    int64_t result = deadline_of_timespec(task, args[2], &deadline);

    if (result == 0)
        result = apply_signal_mask(task, args[3], args[4]);
    if (result == 0)
        result = poll_until(task, args[0], (uint32_t)args[1], deadline);
    if (result >= 0)
        write_remaining_timespec(task, args[2], deadline);
    return result;
}

/* ------------------------------------------------------------------------
 * select
 */

#define SET_COUNT     3 /* to read, to write, exceptional */
#define BITS_PER_WORD 64
#define WORDS_IN_SET  (FD_SETSIZE / BITS_PER_WORD)
#define WORDS(nfds)   (((nfds) + BITS_PER_WORD - 1) / BITS_PER_WORD)
#define HAS(set, fd)  (((set)[(fd) / BITS_PER_WORD] >> ((fd) % BITS_PER_WORD) & 1) != 0)
#define MARK(set, fd) ((set)[(fd) / BITS_PER_WORD] |= UINT64_C(1) << ((fd) % BITS_PER_WORD))

/* What each of the three sets asks poll(2) for, and the answers that count for it. */
static const struct {
    short asked;
    short answers;
} set_events[SET_COUNT] = {
    {POLLIN, POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR},
    {POLLOUT, POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR},
    {POLLPRI, POLLPRI},
};

struct select_sets {
    uint32_t nfds;
    uint64_t addr[SET_COUNT]; /* of the guest; 0: not asked */
    uint64_t words[SET_COUNT][WORDS_IN_SET];
    struct pollfd host[FD_SETSIZE]; /* those in any set */
    uint32_t guest_fd[FD_SETSIZE];  /* whose they are */
    uint32_t count;
};

static int64_t read_sets(struct task *task, struct select_sets *sets)
{
    tg_transfer ranges[SET_COUNT];
    size_t count = 0;

    memset(sets->words, 0, sizeof(sets->words));
    for (int i = 0; i < SET_COUNT; i++) {
        if (sets->addr[i] != 0)
            ranges[count++] = guest_reading(sets->addr[i], sets->words[i], WORDS(sets->nfds) * sizeof(uint64_t));
    }
    return read_once_ranges(task, ranges, count);
}

static int64_t collect(const struct task *task, struct select_sets *sets)
{
    sets->count = 0;
    for (uint32_t fd = 0; fd < sets->nfds; fd++) {
        const struct file *file;
        short events = 0;

        for (int i = 0; i < SET_COUNT; i++)
            if (HAS(sets->words[i], fd))
                events = (short)(events | set_events[i].asked);
        if (events == 0)
            continue;
        file = task_file(task, fd);
        if (file == NULL || (file->status & O_PATH) != 0)
            return -EBADF;
        sets->guest_fd[sets->count] = fd;
        sets->host[sets->count++] = (struct pollfd){.fd = file->host_fd, .events = events};
    }
    return 0;
}

/* Turns the sets into the answer. How many bits are set in it. */
static int64_t answer(struct select_sets *sets)
{
    uint64_t result[SET_COUNT][WORDS_IN_SET] = {0};
    int64_t found = 0;

    for (uint32_t n = 0; n < sets->count; n++) {
        uint32_t fd = sets->guest_fd[n];

        for (int i = 0; i < SET_COUNT; i++) {
            if (!HAS(sets->words[i], fd) || (sets->host[n].revents & set_events[i].answers) == 0)
                continue;
            MARK(result[i], fd);
            found++;
        }
    }
    memcpy(sets->words, result, sizeof(result));
    return found;
}

static int64_t write_sets(const struct task *task, const struct select_sets *sets)
{
    tg_transfer ranges[SET_COUNT];
    size_t count = 0;

    for (int i = 0; i < SET_COUNT; i++) {
        if (sets->addr[i] != 0)
            ranges[count++] = guest_writing(sets->addr[i], sets->words[i], WORDS(sets->nfds) * sizeof(uint64_t));
    }
    return guest_transfer(task_memory(task), ranges, count);
}

static int64_t select_until(struct task *task, const uint64_t args[6], int64_t deadline)
{
    struct select_sets sets;
    int32_t nfds = (int32_t)args[0];
    int64_t result;
    int64_t found;

    if (nfds < 0)
        return -EINVAL;
    memcpy(sets.addr, args + 1, sizeof(sets.addr));
    sets.nfds = nfds < FD_SETSIZE ? (uint32_t)nfds : FD_SETSIZE;
    result = read_sets(task, &sets);
    if (result == 0)
        result = collect(task, &sets);
    if (result != 0)
        return result;
    if (ppoll(sets.host, sets.count, &no_time, NULL) < 0)
        return -errno;
    found = answer(&sets);
    if (found == 0 && deadline != DEADLINE_NOW)
        return wait_for_files(task, sets.host, sets.count, deadline);
    result = write_sets(task, &sets);
    return result != 0 ? result : found;
}

int64_t call_select(struct task *task, const uint64_t args[6])
{
    int64_t deadline;
    int64_t result = deadline_of_timeval(task, args[4], &deadline);

    if (result == 0)
        result = select_until(task, args, deadline);
    if (result >= 0)
        write_remaining_timeval(task, args[4], deadline);
    return result;
}

int64_t call_pselect6(struct task *task, const uint64_t args[6])
{
    uint64_t mask[2] = {0, 0}; /* address and size */
    int64_t deadline;
    int64_t result = deadline_of_timespec(task, args[4], &deadline);

    if (result == 0 && args[5] != 0)
        result = read_once(task, args[5], mask, sizeof(mask));
    if (result == 0)
        result = apply_signal_mask(task, mask[0], mask[1]);
    if (result == 0)
        result = select_until(task, args, deadline);
    if (result >= 0)
        write_remaining_timespec(task, args[4], deadline);
    return result;
}
