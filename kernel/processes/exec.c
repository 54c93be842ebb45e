/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "processes/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "memory/address_space.h"
#include "memory/guest_window.h"
#include "memory/task_memory.h"
#include "processes/process_files.h"
#include "programs/loader.h"
#include "signals/signals.h"
#include "tasks/identity_words.h"
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
    forget_alternate_stack(&task->signals);
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
        address_space_release(task->sandbox, space);
        return err;
    }
    err = files_exec(process);
    if (!err)
        err = task_start(task, loaded.entry, loaded.stack_pointer);
    if (err) {
        free(loaded.executable);
        address_space_release(task->sandbox, space);
        return err;
    }
    cpu_usage_keep(process);
    address_space_release(task->sandbox, process->space);
    process->space = space;
    free(process->executable);
    process->executable = loaded.executable;
    process->has_execed = true;
    /* As on Linux: what the parent asked for was meant for its own child, not for another program. */
    process->exit_signal = SIGCHLD;
    credentials_exec(&process->credentials);
    process->dumpable = true;
    task->tid = process->pid;
    identity_words_tell(task);
    forget_old_memory(task);
    set_name(task, program->path);
    vfork_release_parent(process);
    return 0;
}

/* What execve reads of the guest: two arrays and strings, each through a block of its own. */
struct program_reader {
    struct guest_window arguments;
    struct guest_window environment;
    struct guest_window strings;
    char string[PROGRAM_STRING_MAX];
};

/* A NULL-terminated array of strings; a null pointer counts as an empty one, as on Linux. */
static int read_strings(struct program_reader *reader, struct guest_window *window, uint64_t array,
                        struct string_list *list)
{
    uint64_t address = 0;
    int err = 0;

    for (; array && !err; array += sizeof(address)) {
        ssize_t length;
        err = guest_window_read_u64(window, array, &address);
        if (err || !address)
            break;
        length = guest_window_read_string(&reader->strings, address, reader->string, sizeof(reader->string));
        if (length < 0)
            err = length == -ENAMETOOLONG ? -E2BIG : (int)length;
        else
            err = string_list_add(list, reader->string);
    }
    return err;
}

static int read_path(struct program_reader *reader, uint64_t address, struct program *program)
{
    ssize_t length = guest_window_read_string(&reader->strings, address, reader->string, PATH_MAX);

    if (length < 0)
        return (int)length;
    if (length == 0)
        return -ENOENT;
    program->path = strdup(reader->string);
    return program->path ? 0 : -ENOMEM;
}

static void open_windows(struct program_reader *reader, tg_subprocess *memory, const uint64_t args[6])
{
    struct guest_window *const windows[] = {&reader->strings, &reader->arguments, &reader->environment};

    for (size_t i = 0; i < GUEST_WINDOWS_MAX; i++)
        guest_window_open(windows[i], memory);
    guest_windows_look_ahead(windows, args, GUEST_WINDOWS_MAX);
}

static int read_program(struct task *task, const uint64_t args[6], struct program *program)
{
    struct program_reader *reader = malloc(sizeof(*reader));
    int err;

    if (!reader)
        return -ENOMEM;
    open_windows(reader, task_memory(task), args);
    err = read_path(reader, args[0], program);
    if (!err)
        err = read_strings(reader, &reader->arguments, args[1], &program->arguments);
    if (!err)
        err = read_strings(reader, &reader->environment, args[2], &program->environment);
    free(reader);
    return err;
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
    int err = read_program(task, args, &program);

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
