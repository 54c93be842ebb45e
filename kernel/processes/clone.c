/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* New threads and processes: clone, fork, vfork. clone3 is left out: C libraries fall back to clone. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "processes/burial.h"
#include "processes/process_files.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"
#include "tasks/vfork.h"

#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)

static int flags_error(uint64_t flags)
{
    if (flags & (NAMESPACES | CLONE_PTRACE | CLONE_PIDFD))
        return -EINVAL;
    if ((flags & CSIGNAL) && !signal_is_valid(flags & CSIGNAL))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && (flags & THREAD_FLAGS) != THREAD_FLAGS)
        return -EINVAL;
    /* Processes that share handlers but are no threads of each other: nobody makes them. */
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_THREAD))
        return -EINVAL;
    return 0;
}

static int copy_memory(struct task *task, struct process *child, uint64_t flags)
{
    if (!(flags & CLONE_VM))
        return address_space_fork(task->sandbox, task->process->space, &child->space);
    child->space = task->process->space;
    child->space->references++;
    return 0;
}

/* Linux's fork needs no descriptor; a stub does. */
static int fork_error(int err)
{
    return err == -EMFILE || err == -ENFILE ? -EAGAIN : err;
}

static int create_child_process(struct task *task, uint64_t flags, struct process **out)
{
    struct process *parent = task->process;
    struct process *child;
    int err = process_create(task->sandbox, parent, &child);

    if (err)
        return err;
    child->exit_signal = (int)(flags & CSIGNAL);
    err = copy_memory(task, child, flags);
    if (!err)
        err = files_clone(parent, child, (flags & CLONE_FILES) != 0, (flags & CLONE_FS) != 0);
    if (err) {
        process_retire(child);
        return fork_error(err);
    }
    *out = child;
    return 0;
}

/* Registers and what Linux keeps for a thread, as the parent has it. */
static int copy_task(struct task *child, const struct task *parent, const struct clone_request *request)
{
    int err = tg_context_copy(child->context, parent->context);

    if (!err && (request->flags & CLONE_SETTLS))
        err = tg_context_set_tls(child->context, request->tls);
    if (err)
        return err;
    arch_become_child(child->context, request->stack);
    memcpy(child->name, parent->name, sizeof(child->name));
    child->scheduling = scheduling_of_child(&parent->scheduling);
    child->signals.blocked = parent->signals.blocked;
    child->signals.trap_number = parent->signals.trap_number;
    child->signals.error_code = parent->signals.error_code;
    child->signals.fault_address = parent->signals.fault_address;
    if (!(request->flags & CLONE_VM) || (request->flags & CLONE_VFORK)) {
        child->signals.stack_base = parent->signals.stack_base;
        child->signals.stack_size = parent->signals.stack_size;
        child->signals.stack_flags = parent->signals.stack_flags;
    }
    if (request->flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = request->child_tid;
    return 0;
}

/* Words that Linux writes without telling when it cannot. */
static void write_ids(const struct task *parent, const struct task *child, const struct clone_request *request)
{
    if (request->flags & CLONE_PARENT_SETTID)
        guest_write_u32(task_memory(parent), request->parent_tid, (uint32_t)child->tid);
    if (request->flags & CLONE_CHILD_SETTID)
        guest_write_u32(task_memory(child), request->child_tid, (uint32_t)child->tid);
}

static int64_t wait_for_vfork_child(struct task *task, struct process *child, int64_t result)
{
    task->clone_result = result;
    vfork_set_parent(child, task);
    result = task_wait_until(task, DEADLINE_NEVER);
    task->wait.uninterruptible = true;
    return result;
}

static int64_t clone_task(struct task *task, const struct clone_request *request)
{
    bool thread = (request->flags & CLONE_THREAD) != 0;
    struct process *process = task->process;
    struct task *child;
    int err = flags_error(request->flags);

    if (!err && !thread)
        err = create_child_process(task, request->flags, &process);
    if (err)
        return err;
    err = task_create(process, thread ? process_new_id(task->sandbox) : process->pid, &child);
    if (!err)
        err = copy_task(child, task, request);
    if (err) {
        if (child)
            task_abandon(child);
        if (!thread)
            process_retire(process);
        return err == -EINVAL ? -EPERM : err;
    }
    write_ids(task, child, request);
    task_make_ready(child);
    if (!thread && (request->flags & CLONE_VFORK))
        return wait_for_vfork_child(task, process, child->tid);
    return child->tid;
}

static int64_t do_clone(struct task *task, const uint64_t args[6])
{
    struct clone_request request;

    /* Called again: the child of a vfork has left the parent's memory. */
    if (task->wake != WAKE_NONE)
        return task->clone_result;
    arch_clone_request(args, &request);
    return clone_task(task, &request);
}

static int64_t do_fork(struct task *task, const uint64_t args[6])
{
    const struct clone_request request = {.flags = SIGCHLD};

    (void)args;
    return clone_task(task, &request);
}

static int64_t do_vfork(struct task *task, const uint64_t args[6])
{
    const struct clone_request request = {.flags = CLONE_VM | CLONE_VFORK | SIGCHLD};

    (void)args;
    return task->wake != WAKE_NONE ? task->clone_result : clone_task(task, &request);
}

const struct syscall_entry clone_syscalls[] = {
    {SYS_clone, "clone", do_clone},
    {SYSCALL_NR_OLDER, "fork", do_fork},
    {SYSCALL_NR_OLDER, "vfork", do_vfork},
};
const size_t clone_syscalls_count = sizeof(clone_syscalls) / sizeof(clone_syscalls[0]);
