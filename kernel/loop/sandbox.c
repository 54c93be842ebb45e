/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "loop/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/executable.h"
#include "files/path.h"
#include "loop/fd_poller.h"
#include "memory/address_space.h"
#include "processes/burial.h"
#include "processes/exec.h"
#include "processes/process_files.h"
#include "programs/loader.h"
#include "tasks/task.h"
#include "time/follow_host.h"

/* Where a program is looked for when its name has no slash and the environment has no PATH. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* Writes the sentence that says what failed; returns the error. */
__attribute__((format(printf, 3, 4))) static int fail(const struct sandbox *sandbox, int err, const char *format, ...)
{
    va_list arguments;

    if (sandbox->options.message && sandbox->options.message_capacity) {
        va_start(arguments, format);
        vsnprintf(sandbox->options.message, sandbox->options.message_capacity, format, arguments);
        va_end(arguments);
    }
    return err;
}

void sandbox_tell(const struct sandbox *sandbox, const char *format, ...)
{
    const struct sandbox_options *options = &sandbox->options;
    va_list arguments;

    if (!options->message || !options->message_capacity || options->message[0])
        return;
    va_start(arguments, format);
    vsnprintf(options->message, options->message_capacity, format, arguments);
    va_end(arguments);
}

static int open_platform(struct sandbox *sandbox)
{
    tg_platform_options options = {
        .size = sizeof(options),
        .backend = sandbox->options.backend,
        .flags = sandbox->options.platform_flags,
        .message = sandbox->options.message,
        .message_capacity = sandbox->options.message_capacity,
    };
    int err = tg_platform_open(&options, &sandbox->platform);

    if (err)
        return err;
    sandbox->info.size = sizeof(sandbox->info);
    err = tg_platform_info(sandbox->platform, &sandbox->info);
    if (!err)
        err = tg_queue_create(sandbox->platform, &sandbox->queue);
    if (err)
        return fail(sandbox, err, "cannot set up the platform: %s", tg_platform_last_error(sandbox->platform));
    err = fd_poller_create(sandbox->queue, &sandbox->poller);
    return err ? fail(sandbox, err, "cannot watch descriptors: pipe2(2) or clone3(2): %s", strerror(-err)) : 0;
}

static int allocate(struct sandbox *sandbox)
{
    sandbox->fpstate = malloc(sandbox->info.fpstate_size + sizeof(uint32_t));
    sandbox->events = calloc(EVENTS_AT_ONCE, sizeof(*sandbox->events));
    if (!sandbox->fpstate || !sandbox->events)
        return fail(sandbox, -ENOMEM, "no memory left");
    for (size_t i = 0; i < EVENTS_AT_ONCE; i++)
        sandbox->events[i].size = sizeof(tg_event);
    return 0;
}

static int open_root(struct sandbox *sandbox)
{
    sandbox->root_fd = open(sandbox->options.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (sandbox->root_fd < 0)
        return fail(sandbox, -errno, "cannot open the root folder %s: openat(2): %s", sandbox->options.root,
                    strerror(errno));
    return 0;
}

/* The file side starts in / when there is no such folder; whoever names one wants to know. */
static int check_cwd(const struct sandbox *sandbox, const char *cwd)
{
    const struct path_context *paths = sandbox->init->paths;
    int fd = path_lookup(paths, paths->root->fd, cwd, O_DIRECTORY, PATH_INSPECT);

    if (fd < 0)
        return fail(sandbox, fd, "cannot use %s as the current folder: %s", cwd, strerror(-fd));
    close(fd);
    return 0;
}

static void fill_first_process(struct process *process)
{
    process->pgid = process->sid = process->pid;
    process->dumpable = true;
    for (uint32_t i = 0; i < RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &process->limits[i]) != 0)
            process->limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
}

static int create_first_process(struct sandbox *sandbox)
{
    const char *cwd = sandbox->options.cwd ? sandbox->options.cwd : "/";
    int err = process_create(sandbox, NULL, &sandbox->init);

    if (err)
        return fail(sandbox, err, "no memory left");
    fill_first_process(sandbox->init);
    err = credentials_of_embedder(&sandbox->init->credentials);
    if (err)
        return fail(sandbox, err, "cannot ask for the embedder's groups: getgroups(2): %s", strerror(-err));
    err = files_init(sandbox->init, cwd);
    return err ? err : check_cwd(sandbox, cwd);
}

static int fill_program(const struct sandbox_options *options, struct program *program)
{
    int err = 0;

    for (size_t i = 0; !err && options->arguments[i]; i++)
        err = string_list_add(&program->arguments, options->arguments[i]);
    for (size_t i = 0; !err && options->environment && options->environment[i]; i++)
        err = string_list_add(&program->environment, options->environment[i]);
    return err;
}

static const char *search_path(const struct sandbox_options *options)
{
    for (size_t i = 0; options->environment && options->environment[i]; i++)
        if (strncmp(options->environment[i], "PATH=", 5) == 0)
            return options->environment[i] + 5;
    return DEFAULT_PATH;
}

/* A name without a slash is looked for as a shell does it, inside the guest's root. */
static int find_program(struct process *process, const struct sandbox_options *options, char **path)
{
    const char *name = options->arguments[0];
    const char *folder = search_path(options);
    size_t length;

    *path = NULL;
    if (strchr(name, '/')) {
        *path = strdup(name);
        return *path ? 0 : -ENOMEM;
    }
    for (;; folder += length + 1) {
        int fd;
        length = strcspn(folder, ":");
        if (asprintf(path, "%.*s/%s", length ? (int)length : 1, length ? folder : ".", name) < 0)
            return -ENOMEM;
        fd = executable_open(process->paths, *path);
        if (fd >= 0) {
            close(fd);
            return 0;
        }
        free(*path);
        *path = NULL;
        if (!folder[length])
            return -ENOENT;
    }
}

/* Linux says so of no program: the host's filter does. */
static bool is_denied(int err)
{
    return err == EPERM || err == ENOSYS;
}

/* Which of the calls that open and read a program is refused, tried on the root folder; NULL: none of them. */
static const char *denied_call(const struct sandbox *sandbox)
{
    struct stat st;
    char byte;

    if (fstat(sandbox->root_fd, &st) != 0 && is_denied(errno))
        return "newfstatat(2) or fstat(2)";
    if (faccessat(sandbox->root_fd, ".", X_OK, 0) != 0 && is_denied(errno))
        return "faccessat2(2)";
    /* A descriptor that only names the folder can be read by nobody: EBADF. */
    if (pread(sandbox->root_fd, &byte, 1, 0) < 0 && is_denied(errno))
        return "pread64(2)";
    return NULL;
}

static int load_failed(const struct sandbox *sandbox, int err)
{
    const char *name = sandbox->options.arguments[0];
    const char *call = is_denied(-err) ? denied_call(sandbox) : NULL;

    if (call)
        return fail(sandbox, err, "cannot run %s: the host refuses %s: its filter must allow it", name, call);
    if (sandbox->met_reserved)
        return fail(
            sandbox, err,
            "cannot run %s: it wants addresses that the backend has reserved; fewer are with --no-patching, and "
            "others with --backend=ptrace",
            name);
    return fail(sandbox, err, "cannot run %s: %s", name,
                err == -ENOEXEC ? "it is not a program for this machine" : strerror(-err));
}

/* 0 where the host does not say. */
static int own_nice(void)
{
    int nice;

    errno = 0;
    nice = getpriority(PRIO_PROCESS, 0);
    return errno ? 0 : nice;
}

int sandbox_load(struct sandbox *sandbox)
{
    struct process *process = sandbox->init;
    struct program program = {0};
    struct task *task;
    int err = task_create(process, process->pid, &task);

    if (!err)
        task->scheduling.nice = own_nice();
    if (!err)
        err = fill_program(&sandbox->options, &program);
    if (!err)
        err = find_program(process, &sandbox->options, &program.path);
    if (!err)
        err = exec_program(task, &program);
    program_free(&program);
    if (err)
        return load_failed(sandbox, err);
    task_make_ready(task);
    return 0;
}

int sandbox_create(const struct sandbox_options *options, struct sandbox **out)
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    int err;

    *out = NULL;
    if (!sandbox)
        return -ENOMEM;
    sandbox->options = *options;
    sandbox->root_fd = -1;
    sandbox->next_id = 1;
    sandbox->next_space_id = 1;
    syscall_table_init(&sandbox->table);
    err = open_root(sandbox);
    if (!err)
        err = open_platform(sandbox);
    if (!err)
        err = follow_host_start(sandbox);
    if (!err)
        err = allocate(sandbox);
    if (!err)
        err = create_first_process(sandbox);
    if (err) {
        sandbox_destroy(sandbox);
        return err;
    }
    *out = sandbox;
    return 0;
}

/* Tasks that were cut off in the middle: nothing of them runs any more. */
static void destroy_processes(struct sandbox *sandbox)
{
    struct process *process;
    struct task *task;

    tasks_bury(sandbox);
    for (process = sandbox->processes; process; process = process->next)
        while ((task = process->tasks))
            task_abandon(task);
    while ((process = sandbox->processes))
        process_retire(process);
    processes_free_retired(sandbox);
    address_spaces_destroy_left(sandbox);
}

void sandbox_destroy(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    fd_poller_destroy(sandbox->poller);
    tg_queue_destroy(sandbox->queue);
    destroy_processes(sandbox);
    tg_platform_close(sandbox->platform);
    timer_heap_free(&sandbox->timers);
    free(sandbox->poll_fds);
    free(sandbox->fpstate);
    free(sandbox->events);
    if (sandbox->root_fd >= 0)
        close(sandbox->root_fd);
    free(sandbox);
}
