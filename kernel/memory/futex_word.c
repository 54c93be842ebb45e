/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/futex_word.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/guest_time.h"
#include "memory/task_memory.h"
#include "tasks/futex_queue.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

static struct futex_key make_key(const struct task *task, uint64_t addr)
{
    const struct address_space *space = task->process->space;
    const struct vma *vma = memory_map_find(&space->map, addr);

    if (vma && vma->start <= addr && (vma->flags & VMA_SHARED) && vma->object)
        return (struct futex_key){vma->object->device, vma->object->inode, vma->offset + (addr - vma->start)};
    return (struct futex_key){0, space->id, addr};
}

static bool waits_for(const struct task *waiter, struct futex_key key, uint32_t bitset)
{
    return futex_key_equal(waiter->futex.key, key) && (waiter->futex.bitset & bitset);
}

static int64_t wake_key(struct sandbox *sandbox, struct futex_key key, uint32_t count, uint32_t bitset)
{
    struct task *next;
    int64_t woken = 0;

    for (struct task *waiter = futex_queue_bucket(sandbox, key)->first; waiter && (uint64_t)woken < count;
         waiter = next) {
        next = waiter->futex.next;
        if (!waits_for(waiter, key, bitset))
            continue;
        task_wake(waiter, WAKE_READY);
        woken++;
    }
    return woken;
}

void futex_wake(struct task *task, uint64_t addr, uint32_t count)
{
    wake_key(task->sandbox, make_key(task, addr), count, FUTEX_BITSET_MATCH_ANY);
}

/* FUTEX_WAIT takes a duration, FUTEX_WAIT_BITSET a point in time of one of two clocks. */
static int64_t deadline_of(uint32_t op, int64_t ns)
{
    const clockid_t clock = (op & FUTEX_CLOCK_REALTIME) ? CLOCK_REALTIME : CLOCK_MONOTONIC;

    return (op & FUTEX_CMD_MASK) == FUTEX_WAIT ? deadline_after(ns) : deadline_at_clock(clock, ns);
}

/* What a wait is about, in one go, and not before the call is served: who changes the word then wakes. */
static int read_word(struct task *task, uint64_t addr, uint64_t timeout, uint32_t op, uint32_t *value,
                     int64_t *deadline)
{
    struct timespec time;
    tg_transfer ranges[] = {guest_reading(timeout, &time, sizeof(time)), guest_reading(addr, value, sizeof(*value))};
    const size_t skipped = timeout ? 0 : 1;
    int64_t ns;
    int err = guest_transfer(task_memory(task), ranges + skipped, 2 - skipped);

    *deadline = DEADLINE_NEVER;
    if (!timeout)
        return err;
    /* As on Linux, which reads the time first. */
    if (ranges[0].done < sizeof(time))
        return -EFAULT;
    if (nanoseconds_of(&time, &ns) != 0)
        return -EINVAL;
    if (!err)
        *deadline = deadline_of(op, ns);
    return err;
}

static int64_t wait_for_wake(struct task *task, uint64_t addr, uint32_t expected, uint64_t timeout, uint32_t op,
                             uint32_t bitset)
{
    int64_t deadline, result;
    uint32_t value;
    int err;

    if (task->wake == WAKE_READY)
        return 0;
    if (task->wake == WAKE_TIMEOUT)
        return -ETIMEDOUT;
    if (bitset == 0 || (addr & 3))
        return -EINVAL;
    err = read_word(task, addr, timeout, op, &value, &deadline);
    if (err)
        return err;
    if (value != expected)
        return -EAGAIN;
    result = task_wait_until(task, deadline);
    if (result == SYSCALL_WAITS)
        futex_queue_add(task, make_key(task, addr), bitset);
    if (timeout)
        task_wait_never_restarts(task);
    return result;
}

static int64_t requeue(struct task *task, struct futex_key from, struct futex_key to, uint32_t wake_count,
                       uint32_t requeue_count)
{
    int64_t woken = wake_key(task->sandbox, from, wake_count, FUTEX_BITSET_MATCH_ANY);
    int64_t moved = 0;
    struct task *next;

    /* The same word as source and goal would make the walk endless. */
    if (futex_key_equal(from, to))
        return woken;
    for (struct task *waiter = futex_queue_bucket(task->sandbox, from)->first;
         waiter && (uint64_t)moved < requeue_count; waiter = next) {
        uint32_t bitset = waiter->futex.bitset;
        next = waiter->futex.next;
        if (!waits_for(waiter, from, FUTEX_BITSET_MATCH_ANY))
            continue;
        futex_queue_leave(waiter);
        futex_queue_add(waiter, to, bitset);
        moved++;
    }
    return woken + moved;
}

static int64_t checked_requeue(struct task *task, const uint64_t args[6], bool compare)
{
    uint32_t value;
    int err;

    if (((args[0] | args[4]) & 3) || (int32_t)args[2] < 0 || (int32_t)args[3] < 0)
        return -EINVAL;
    if (compare) {
        err = guest_read_u32(task_memory(task), args[0], &value);
        if (err)
            return err;
        if (value != (uint32_t)args[5])
            return -EAGAIN;
    }
    return requeue(task, make_key(task, args[0]), make_key(task, args[4]), (uint32_t)args[2], (uint32_t)args[3]);
}

/* Linux looks only at words that processes may share. */
static bool can_be_looked_at(const struct task *task, uint64_t addr, uint32_t op)
{
    const struct vma *vma = memory_map_find(&task->process->space->map, addr);

    if (op & FUTEX_PRIVATE_FLAG)
        return addr < task->sandbox->info.user_end;
    return vma && vma->start <= addr && (vma->prot & TG_PROT_READ);
}

/* As on Linux a count of 0, or below, wakes one. */
static int64_t wake_bitset(struct task *task, uint64_t addr, int32_t count, uint32_t bitset, uint32_t op)
{
    if (bitset == 0 || (addr & 3))
        return -EINVAL;
    if (!can_be_looked_at(task, addr, op))
        return -EFAULT;
    return wake_key(task->sandbox, make_key(task, addr), count > 0 ? (uint32_t)count : 1, bitset);
}

static int64_t do_futex(struct task *task, const uint64_t args[6])
{
    uint32_t op = (uint32_t)args[1];

    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return wait_for_wake(task, args[0], (uint32_t)args[2], args[3], op, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return wait_for_wake(task, args[0], (uint32_t)args[2], args[3], op, (uint32_t)args[5]);
    case FUTEX_WAKE:
        return wake_bitset(task, args[0], (int32_t)args[2], FUTEX_BITSET_MATCH_ANY, op);
    case FUTEX_WAKE_BITSET:
        return wake_bitset(task, args[0], (int32_t)args[2], (uint32_t)args[5], op);
    case FUTEX_REQUEUE:
        return checked_requeue(task, args, false);
    case FUTEX_CMP_REQUEUE:
        return checked_requeue(task, args, true);
    default:
        return -ENOSYS;
    }
}

static int64_t do_set_robust_list(struct task *task, const uint64_t args[6])
{
    if (args[1] != sizeof(struct robust_list_head))
        return -EINVAL;
    task->robust_list = args[0];
    return 0;
}

static int64_t do_get_robust_list(struct task *task, const uint64_t args[6])
{
    const struct task *other = (int32_t)args[0] ? task_find(task->sandbox, (int32_t)args[0]) : task;
    int err;

    if (!other)
        return -ESRCH;
    err = guest_write_u64(task_memory(task), args[2], sizeof(struct robust_list_head));
    return err ? err : guest_write_u64(task_memory(task), args[1], other->robust_list);
}

/* The word of one robust mutex: the owner is gone, whoever waits takes over. */
static void release_robust_mutex(struct task *task, uint64_t addr)
{
    uint32_t value;

    if ((addr & 3) || guest_read_u32(task_memory(task), addr, &value) != 0)
        return;
    if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid)
        return;
    guest_write_u32(task_memory(task), addr, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
    if (value & FUTEX_WAITERS)
        futex_wake(task, addr, 1);
}

void futex_release_robust_list(struct task *task)
{
    struct {
        uint64_t first;
        uint64_t offset;
        uint64_t pending;
    } head;
    uint64_t entry;
    tg_subprocess *memory = task_memory(task);

    if (!task->robust_list || guest_read(memory, task->robust_list, &head, sizeof(head)) != 0)
        return;
    entry = head.first & ~UINT64_C(1);
    for (uint32_t i = 0; i < ROBUST_LIST_LIMIT && entry && entry != task->robust_list; i++) {
        uint64_t next;
        if (guest_read_u64(memory, entry, &next) != 0)
            break;
        if (entry != (head.pending & ~UINT64_C(1)))
            release_robust_mutex(task, entry + head.offset);
        entry = next & ~UINT64_C(1);
    }
    if (head.pending)
        release_robust_mutex(task, (head.pending & ~UINT64_C(1)) + head.offset);
    task->robust_list = 0;
}

const struct syscall_entry futex_syscalls[] = {
    {SYS_futex, "futex", do_futex},
    {SYS_set_robust_list, "set_robust_list", do_set_robust_list},
    {SYS_get_robust_list, "get_robust_list", do_get_robust_list},
};
const size_t futex_syscalls_count = sizeof(futex_syscalls) / sizeof(futex_syscalls[0]);
