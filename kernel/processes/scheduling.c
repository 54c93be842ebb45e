/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The calls about a thread's policy, priority and processors; nice_values.c has those about nice values. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "memory/guest_copy.h"
#include "memory/guest_time.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* struct sched_attr, which some C libraries have in <sched.h> and some not. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least_use, most_use;
};

#define ATTR_RESET_ON_FORK 1
#define ATTR_SIZE_FIRST    48 /* of the first Linux that had it */
#define ATTR_SIZE_MAX      4096
#define PRIORITY_MAX       99

/* The thread that is meant, or NULL with -EINVAL or -ESRCH. */
static struct task *named_task(struct task *task, uint64_t tid, int64_t *error)
{
    struct task *named = (int32_t)tid == 0 ? task : task_find(task->sandbox, (int32_t)tid);

    *error = (int32_t)tid < 0 ? -EINVAL : -ESRCH;
    return (int32_t)tid < 0 ? NULL : named;
}

/* ------------------------------------------------------------------------
 * Policies
 */

static bool is_real_time(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int policy_error(int policy, int priority)
{
    bool known = is_real_time(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;

    if (!known || priority < 0 || priority > PRIORITY_MAX)
        return -EINVAL;
    return is_real_time(policy) == (priority > 0) ? 0 : -EINVAL;
}

static int privilege_error(const struct task *caller, const struct task *other, int policy, int priority)
{
    const struct credentials *own = &caller->process->credentials, *its = &other->process->credentials;
    rlim_t limit = other->process->limits[RLIMIT_RTPRIO].rlim_cur;

    if (credentials_have(own, CAP_SYS_NICE))
        return 0;
    if (own->euid != its->euid && own->euid != its->uid)
        return -EPERM;
    return is_real_time(policy) && (rlim_t)priority > limit ? -EPERM : 0;
}

static int set_policy(const struct task *caller, struct task *other, int policy, int priority)
{
    struct scheduling *scheduling = &other->scheduling;
    int plain = policy & ~SCHED_RESET_ON_FORK;
    int err = policy_error(plain, priority);

    if (!err)
        err = privilege_error(caller, other, plain, priority);
    if (err)
        return err;
    scheduling->policy = plain;
    scheduling->priority = priority;
    scheduling->reset_on_fork = (policy & SCHED_RESET_ON_FORK) != 0;
    return 0;
}

static int told_policy(const struct scheduling *scheduling)
{
    return scheduling->policy | (scheduling->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

static int64_t do_sched_getscheduler(struct task *task, const uint64_t args[6])
{
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    return named ? told_policy(&named->scheduling) : error;
}

static int64_t set_scheduler(struct task *task, uint64_t tid, int policy, uint64_t addr)
{
    uint32_t priority;
    int64_t error;
    struct task *named = named_task(task, tid, &error);

    if (policy < 0 || !addr || (int32_t)tid < 0)
        return -EINVAL;
    if (guest_read_u32(task_memory(task), addr, &priority) != 0)
        return -EFAULT;
    return named ? set_policy(task, named, policy, (int)priority) : error;
}

static int64_t do_sched_setscheduler(struct task *task, const uint64_t args[6])
{
    return set_scheduler(task, args[0], (int)args[1], args[2]);
}

static int64_t do_sched_setparam(struct task *task, const uint64_t args[6])
{
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    if (!args[1])
        return -EINVAL;
    return named ? set_scheduler(task, args[0], told_policy(&named->scheduling), args[1]) : error;
}

static int64_t do_sched_getparam(struct task *task, const uint64_t args[6])
{
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    if (!args[1])
        return -EINVAL;
    return named ? guest_write_u32(task_memory(task), args[1], (uint32_t)named->scheduling.priority) : error;
}

static int64_t do_sched_get_priority_max(struct task *task, const uint64_t args[6])
{
    int result = sched_get_priority_max((int)args[0]);

    (void)task;
    return result < 0 ? -errno : result;
}

static int64_t do_sched_get_priority_min(struct task *task, const uint64_t args[6])
{
    int result = sched_get_priority_min((int)args[0]);

    (void)task;
    return result < 0 ? -errno : result;
}

/* The host's, of threads like the embedder's; none for those that nobody of their kind makes wait. */
static int64_t do_sched_rr_get_interval(struct task *task, const uint64_t args[6])
{
    struct timespec interval = {0};
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    if (!named)
        return error;
    if (named->scheduling.policy == SCHED_RR)
        interval.tv_nsec = 100000000;
    else if (named->scheduling.policy != SCHED_FIFO && sched_rr_get_interval(0, &interval) != 0)
        return -errno;
    return guest_write(task_memory(task), args[1], &interval, sizeof(interval));
}

/* ------------------------------------------------------------------------
 * All of it in one struct
 */

static int64_t do_sched_getattr(struct task *task, const uint64_t args[6])
{
    uint32_t size = (uint32_t)args[2];
    struct attributes attr = {.size = size < sizeof(attr) ? size : sizeof(attr)};
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    if (!args[1] || (int32_t)args[0] < 0 || size < ATTR_SIZE_FIRST || size > ATTR_SIZE_MAX || (uint32_t)args[3])
        return -EINVAL;
    if (!named)
        return error;
    attr.policy = (uint32_t)named->scheduling.policy;
    attr.flags = named->scheduling.reset_on_fork ? ATTR_RESET_ON_FORK : 0;
    if (is_real_time(named->scheduling.policy))
        attr.priority = (uint32_t)named->scheduling.priority;
    else
        attr.nice = named->scheduling.nice;
    return guest_write(task_memory(task), args[1], &attr, attr.size);
}

static int read_attr(struct task *task, uint64_t addr, struct attributes *attr)
{
    uint32_t size;

    if (guest_read_u32(task_memory(task), addr, &size) != 0)
        return -EFAULT;
    size = size ? size : ATTR_SIZE_FIRST;
    if (size < ATTR_SIZE_FIRST || size > ATTR_SIZE_MAX)
        return guest_write_u32(task_memory(task), addr, sizeof(*attr)) ? -EFAULT : -E2BIG;
    memset(attr, 0, sizeof(*attr));
    return guest_read(task_memory(task), addr, attr, size < sizeof(*attr) ? size : sizeof(*attr));
}

static int clamped_nice(int nice)
{
    if (nice < -20)
        return -20;
    return nice > 19 ? 19 : nice;
}

static int64_t do_sched_setattr(struct task *task, const uint64_t args[6])
{
    struct attributes attr;
    int64_t error;
    struct task *named = named_task(task, args[0], &error);
    int err, policy;

    if (!args[1] || (int32_t)args[0] < 0 || (uint32_t)args[2])
        return -EINVAL;
    err = read_attr(task, args[1], &attr);
    if (err)
        return err;
    if ((int32_t)attr.policy < 0 || (attr.flags & ~(uint64_t)ATTR_RESET_ON_FORK))
        return -EINVAL;
    if (!named)
        return error;
    if (attr.nice < named->scheduling.nice && !credentials_have(&task->process->credentials, CAP_SYS_NICE))
        return -EPERM;
    policy = (int)attr.policy | (attr.flags ? SCHED_RESET_ON_FORK : 0);
    err = set_policy(task, named, policy, (int)attr.priority);
    if (!err && !is_real_time((int)attr.policy))
        named->scheduling.nice = clamped_nice(attr.nice);
    return err;
}

/* ------------------------------------------------------------------------
 * Processors
 */

/* Those that the embedder may use are those that stubs run on. How many bytes the host gives, or -errno. */
static long embedder_processors(cpu_set_t *set)
{
    long size;

    memset(set, 0, sizeof(*set));
    size = syscall(SYS_sched_getaffinity, 0, sizeof(*set), set);
    return size < 0 ? -errno : size;
}

static int64_t do_sched_getaffinity(struct task *task, const uint64_t args[6])
{
    cpu_set_t processors;
    long size = embedder_processors(&processors);
    int64_t error;
    const struct task *named = named_task(task, args[0], &error);

    if (!named)
        return -ESRCH;
    if (size < 0)
        return size;
    if ((uint32_t)args[1] < (uint64_t)size || (args[1] & 7))
        return -EINVAL;
    if (named->scheduling.pinned)
        processors = named->scheduling.processors;
    return guest_write(task_memory(task), args[2], &processors, (size_t)size) ? -EFAULT : size;
}

static int64_t do_sched_setaffinity(struct task *task, const uint64_t args[6])
{
    size_t length = (uint32_t)args[1] < sizeof(cpu_set_t) ? (uint32_t)args[1] : sizeof(cpu_set_t);
    cpu_set_t wanted, usable;
    int64_t error;
    struct task *named = named_task(task, args[0], &error);

    memset(&wanted, 0, sizeof(wanted));
    if (length && guest_read(task_memory(task), args[2], &wanted, length) != 0)
        return -EFAULT;
    if (!named)
        return -ESRCH;
    if (embedder_processors(&usable) < 0)
        return -EINVAL;
    CPU_AND(&wanted, &wanted, &usable);
    if (CPU_COUNT(&wanted) == 0)
        return -EINVAL;
    named->scheduling.processors = wanted;
    named->scheduling.pinned = true;
    return 0;
}

/* One that the thread may be on; which it is nobody here knows. */
static uint32_t likely_processor(const struct scheduling *scheduling)
{
    uint32_t processor = 0;

    while (scheduling->pinned && processor + 1 < CPU_SETSIZE && !CPU_ISSET(processor, &scheduling->processors))
        processor++;
    return processor;
}

static int64_t do_getcpu(struct task *task, const uint64_t args[6])
{
    int err = 0;

    if (args[0])
        err = guest_write_u32(task_memory(task), args[0], likely_processor(&task->scheduling));
    if (!err && args[1])
        err = guest_write_u32(task_memory(task), args[1], 0);
    return err;
}

/* The guest's turn is over: others that are ready go first, because the loop takes events in order. */
static int64_t do_sched_yield(struct task *task, const uint64_t args[6])
{
    (void)task;
    (void)args;
    return 0;
}

const struct syscall_entry scheduling_syscalls[] = {
    {SYS_sched_yield, "sched_yield", do_sched_yield},
    {SYS_sched_getaffinity, "sched_getaffinity", do_sched_getaffinity},
    {SYS_sched_setaffinity, "sched_setaffinity", do_sched_setaffinity},
    {SYS_sched_getscheduler, "sched_getscheduler", do_sched_getscheduler},
    {SYS_sched_setscheduler, "sched_setscheduler", do_sched_setscheduler},
    {SYS_sched_getparam, "sched_getparam", do_sched_getparam},
    {SYS_sched_setparam, "sched_setparam", do_sched_setparam},
    {SYS_sched_getattr, "sched_getattr", do_sched_getattr},
    {SYS_sched_setattr, "sched_setattr", do_sched_setattr},
    {SYS_sched_get_priority_max, "sched_get_priority_max", do_sched_get_priority_max},
    {SYS_sched_get_priority_min, "sched_get_priority_min", do_sched_get_priority_min},
    {SYS_sched_rr_get_interval, "sched_rr_get_interval", do_sched_rr_get_interval},
    {SYS_getcpu, "getcpu", do_getcpu},
};
const size_t scheduling_syscalls_count = sizeof(scheduling_syscalls) / sizeof(scheduling_syscalls[0]);
