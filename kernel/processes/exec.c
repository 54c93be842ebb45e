/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "processes/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "processes/process_files.h"
#include "programs/loader.h"
#include "signals/signals.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"
#include "tasks/vfork.h"
#include "time/cpu_usage.h"
#include "time/interval_timers.h"

static void set_name(struct task *task, const char *path)
{
    const char *slash = strrchr(path, '/');

    strncpy(task->name, slash ? slash + 1 : path, sizeof(task->name) - 1);
    task->name[sizeof(task->name) - 1] = '\0';
}

/* What a thread had in its old memory is gone with it. */
static void forget_old_memory(struct task *task)
{
    task->clear_child_tid = 0;
    task->robust_list = 0;
    task->signals.stack_base = 0;
    task->signals.stack_size = 0;
    signal_reset_actions(task->process);
    interval_timers_delete(task->process, false);
}

int exec_program(struct task *task, struct program *program)
{
    struct process *process = task->process;
    struct loaded_program loaded;
    struct address_space *space;
    int err = address_space_create(task->sandbox, &space);

    if (err)
        return err;
    err = loader_load(process, space, program, &loaded);
    if (err) {
        task->sandbox->met_reserved = space->met_reserved;
        address_space_release(space);
        return err;
    }
    err = files_exec(process);
    if (!err)
        err = task_start(task, loaded.entry, loaded.stack_pointer);
    if (err) {
        free(loaded.executable);
        address_space_release(space);
        return err;
    }
    cpu_usage_keep(process);
    address_space_release(process->space);
    process->space = space;
    free(process->executable);
    process->executable = loaded.executable;
    process->has_execed = true;
    /* As on Linux: what the parent asked for was meant for its own child, not for another program. */
    process->exit_signal = SIGCHLD;
    task->tid = process->pid;
    forget_old_memory(task);
    set_name(task, program->path);
    vfork_release_parent(process);
    return 0;
}

/* A NULL-terminated array of strings; a null pointer counts as an empty one, as on Linux. */
static int read_strings(struct task *task, uint64_t array, struct string_list *list)
{
    char *string = malloc(PROGRAM_STRING_MAX);
    uint64_t address = 0;
    int err = string ? 0 : -ENOMEM;

    for (; array && !err; array += sizeof(address)) {
        ssize_t length;
        err = guest_read_u64(task_memory(task), array, &address);
        if (err || !address)
            break;
        length = guest_read_string(task_memory(task), address, string, PROGRAM_STRING_MAX);
        if (length < 0)
            err = length == -ENAMETOOLONG ? -E2BIG : (int)length;
        else
            err = string_list_add(list, string);
    }
    free(string);
    return err;
}

static int read_path(struct task *task, uint64_t address, struct program *program)
{
    char path[PATH_MAX];
    ssize_t length = guest_read_string(task_memory(task), address, path, sizeof(path));

    if (length < 0)
        return (int)length;
    if (length == 0)
        return -ENOENT;
    program->path = strdup(path);
    return program->path ? 0 : -ENOMEM;
}

/* Ends the other threads. True when there is none left. */
static bool is_alone(struct task *task)
{
    struct process *process = task->process;

    for (struct task *other = process->tasks; other; other = other->next_in_process) {
        if (other == task)
            continue;
        if (other->state == TASK_RUNNING) {
            other->must_end = true;
            task_interrupt(other);
        } else {
            task_end(other, 0);
        }
    }
    return process->tasks == task && !task->next_in_process;
}

static int64_t execute(struct task *task, const uint64_t args[6])
{
    struct program program = {0};
    int err = read_path(task, args[0], &program);

    if (!err)
        err = read_strings(task, args[1], &program.arguments);
    if (!err)
        err = read_strings(task, args[2], &program.environment);
    /* Programs count on an argument 0. */
    if (!err && program.arguments.count == 0)
        err = string_list_add(&program.arguments, "");
    if (!err)
        err = exec_program(task, &program);
    program_free(&program);
    return err ? err : SYSCALL_NO_RESULT;
}

static int64_t do_execve(struct task *task, const uint64_t args[6])
{
    int64_t result;

    if (is_alone(task)) {
        task->process->exec_task = NULL;
        return execute(task, args);
    }
    task->process->exec_task = task;
    result = task_wait_until(task, DEADLINE_NEVER);
    task->wait.uninterruptible = true;
    return result;
}

const struct syscall_entry exec_syscalls[] = {
    {SYS_execve, "execve", do_execve},
};
const size_t exec_syscalls_count = sizeof(exec_syscalls) / sizeof(exec_syscalls[0]);
