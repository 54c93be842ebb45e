/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "processes/process_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/fd_table.h"
#include "files/path.h"
#include "files/path_name.h"
#include "tasks/process.h"
#include "tasks/sandbox_state.h"

/* A number that was closed when the embedder was started may be a file of its own by now: only it can tell. */
static int inherit_standard_files(const struct sandbox_options *options, struct fd_table *table)
{
    for (uint32_t fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        struct file *file;
        int result;

        if (!options->standard_files[fd])
            continue;
        file = file_inherit((int)fd);
        if (file == NULL)
            return -ENOMEM;
        result = fd_table_set(table, file, fd, STDERR_FILENO + 1, false);
        if (result < 0)
            return result;
    }
    return 0;
}

static int load_fails(const struct sandbox *sandbox, int error, const char *reason)
{
    if (sandbox->options.message != NULL)
        snprintf(sandbox->options.message, sandbox->options.message_capacity, "%s", reason);
    return error;
}

/* A write that the host answers with a signal must give an error instead: the guest gets the signal, not we. */
static int ignore_write_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGXFSZ, &ignore, NULL) != 0)
        return -errno;
    return 0;
}

int files_init(struct process *process, const char *cwd)
{
    const char *reason;
    struct root_folder *root;
    int result = root_folder_create(process->sandbox->root_fd, &root, &reason);

    if (result != 0)
        return load_fails(process->sandbox, result, reason);
    process->paths = path_context_create(root, cwd);
    process->fd_table = fd_table_create();
    if (process->paths == NULL || process->fd_table == NULL)
        result = -ENOMEM;
    if (result == 0)
        result = inherit_standard_files(&process->sandbox->options, process->fd_table);
    if (result == 0)
        result = ignore_write_signals();
    if (result != 0)
        files_release(process);
    return result;
}

int files_clone(const struct process *parent, struct process *child, bool share_descriptors, bool share_paths)
{
    child->fd_table = share_descriptors ? fd_table_get(parent->fd_table) : fd_table_copy(parent->fd_table);
    child->paths = share_paths ? path_context_get(parent->paths) : path_context_copy(parent->paths);
    if (child->fd_table != NULL && child->paths != NULL)
        return 0;
    files_release(child);
    return -ENOMEM;
}

int files_exec(struct process *process)
{
    if (process->fd_table->references > 1) {
        struct fd_table *own = fd_table_copy(process->fd_table);

        if (own == NULL)
            return -ENOMEM;
        fd_table_put(process->fd_table);
        process->fd_table = own;
    }
    fd_table_close_on_exec(process->fd_table);
    return 0;
}

void files_release(struct process *process)
{
    if (process->fd_table != NULL)
        fd_table_put(process->fd_table);
    if (process->paths != NULL)
        path_context_put(process->paths);
    process->fd_table = NULL;
    process->paths = NULL;
}
