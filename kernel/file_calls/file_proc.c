/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "file_calls/file_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/path_name.h"
#include "memory/task_memory.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------------
 * Recognising the names
 */

/* The part of path behind prefix, or NULL when path does not start so. */
static const char *behind(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

/* What follows "/proc/self/" and the other names of the asking process's folder; NULL when path is no such. */
static const char *behind_own_folder(const struct task *task, const char *path)
{
    char by_number[32];
    const char *rest = behind(path, "/proc/self/");

    if (rest == NULL)
        rest = behind(path, "/proc/thread-self/");
    if (rest == NULL) {
        snprintf(by_number, sizeof(by_number), "/proc/%d/", task->process->pid);
        rest = behind(path, by_number);
    }
    return rest;
}

/* A descriptor number that is all of text, or -1. */
static int64_t parse_descriptor(const char *text)
{
    char *end;
    unsigned long number;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    number = strtoul(text, &end, 10);
    return *end == '\0' && errno == 0 && number < FD_TABLE_MAX ? (int64_t)number : -1;
}

/* The descriptor that a path names, or -1. */
static int64_t named_descriptor(const struct task *task, const char *path)
{
    static const char *const standard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    const char *rest = behind(path, "/dev/fd/");
    const char *own = behind_own_folder(task, path);

    for (size_t i = 0; i < ARRAY_SIZE(standard); i++) {
        if (strcmp(path, standard[i]) == 0)
            return (int64_t)i;
    }
    if (rest == NULL && own != NULL)
        rest = behind(own, "fd/");
    return rest != NULL ? parse_descriptor(rest) : -1;
}

/* The folder of descriptors, which is its own parent here, as a root is. The one in /dev is a link to it. */
static bool is_descriptor_folder(const struct task *task, const char *path, bool follow)
{
    static const char *const names[] = {"fd", "fd/", "fd/.", "fd/.."};
    const char *name = behind_own_folder(task, path);

    if (name == NULL)
        name = behind(path, "/dev/");
    else
        follow = true;
    for (size_t i = 0; name != NULL && i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return follow || i > 0;
    }
    return false;
}

/* ------------------------------------------------------------------------
 * The texts
 */

static const char *vma_name(const struct vma *vma)
{
    if ((vma->flags & VMA_HEAP) != 0)
        return "[heap]";
    if ((vma->flags & VMA_STACK) != 0)
        return "[stack]";
    return vma->object != NULL && vma->object->name != NULL ? vma->object->name : "";
}

static void write_maps(const struct task *task, FILE *out)
{
    const struct memory_map *map = &task->process->space->map;

    for (size_t i = 0; i < map->count; i++) {
        const struct vma *vma = &map->vmas[i];

        if ((vma->flags & VMA_RESERVED) != 0)
            continue;
        fprintf(out, "%08llx-%08llx %c%c%c%c %08llx 00:00 0%26s%s\n", (unsigned long long)vma->start,
                (unsigned long long)vma->end, (vma->prot & TG_PROT_READ) != 0 ? 'r' : '-',
                (vma->prot & TG_PROT_WRITE) != 0 ? 'w' : '-', (vma->prot & TG_PROT_EXEC) != 0 ? 'x' : '-',
                (vma->flags & VMA_SHARED) != 0 ? 's' : 'p', (unsigned long long)vma->offset, "", vma_name(vma));
    }
}

static void write_guest_range(const struct task *task, FILE *out, uint64_t start, uint64_t end)
{
    char chunk[4096];

    while (start < end) {
        size_t want = end - start < sizeof(chunk) ? (size_t)(end - start) : sizeof(chunk);
        size_t got = guest_read_some(task_memory(task), start, chunk, want);

        fwrite(chunk, 1, got, out);
        if (got < want)
            return;
        start += got;
    }
}

static void write_cmdline(const struct task *task, FILE *out)
{
    const struct address_space *space = task->process->space;

    write_guest_range(task, out, space->args_start, space->args_end);
}

static void write_environ(const struct task *task, FILE *out)
{
    const struct address_space *space = task->process->space;

    write_guest_range(task, out, space->env_start, space->env_end);
}

static void write_comm(const struct task *task, FILE *out)
{
    fprintf(out, "%.*s\n", (int)sizeof(task->name), task->name);
}

static unsigned int count_threads(const struct process *process)
{
    unsigned int count = 0;

    for (const struct task *task = process->tasks; task != NULL; task = task->next_in_process)
        count++;
    return count;
}

static void write_groups(const struct credentials *credentials, FILE *out)
{
    const struct group_list *groups = credentials->groups;

    fputs("Groups:\t", out);
    for (uint32_t i = 0; groups != NULL && i < groups->count; i++)
        fprintf(out, "%u ", groups->ids[i]);
    fputs(groups != NULL && groups->count > 0 ? "\n" : " \n", out);
}

static void write_capabilities(const struct capabilities *all, FILE *out)
{
    fprintf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\n", (unsigned long long)all->inheritable,
            (unsigned long long)all->permitted);
    fprintf(out, "CapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n", (unsigned long long)all->effective,
            (unsigned long long)all->bounding, 0ULL);
}

static void write_masks(const struct task *task, FILE *out)
{
    const struct task_signals *signals = &task->signals;
    uint64_t ignored = 0;
    uint64_t caught = 0;

    for (int signo = 1; signo <= SIGNAL_MAX; signo++) {
        uint64_t handler = signal_action_of(&task->process->signals, signo)->handler;

        if (handler == (uint64_t)(uintptr_t)SIG_IGN)
            ignored |= SIGNAL_BIT(signo);
        else if (handler != (uint64_t)(uintptr_t)SIG_DFL)
            caught |= SIGNAL_BIT(signo);
    }
    fprintf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\n", (unsigned long long)signals->pending,
            (unsigned long long)task->process->signals.pending);
    fprintf(out, "SigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)signals->blocked,
            (unsigned long long)ignored, (unsigned long long)caught);
}

static void write_status(const struct task *task, FILE *out)
{
    const struct process *process = task->process;
    const struct credentials *ids = &process->credentials;

    fprintf(out, "Name:\t%.*s\n", (int)sizeof(task->name), task->name);
    fprintf(out, "Umask:\t%04o\n", (unsigned int)process->paths->umask);
    fprintf(out, "State:\tR (running)\nTgid:\t%d\nPid:\t%d\n", process->pid, task->tid);
    fprintf(out, "PPid:\t%d\nTracerPid:\t0\n", process->parent != NULL ? process->parent->pid : 0);
    fprintf(out, "Uid:\t%u\t%u\t%u\t%u\n", ids->uid, ids->euid, ids->suid, ids->fsuid);
    fprintf(out, "Gid:\t%u\t%u\t%u\t%u\n", ids->gid, ids->egid, ids->sgid, ids->fsgid);
    fprintf(out, "FDSize:\t%u\n", process->fd_table->capacity);
    write_groups(ids, out);
    fprintf(out, "VmSize:\t%8llu kB\n", (unsigned long long)process->space->map.mapped_bytes / 1024);
    fprintf(out, "Threads:\t%u\n", count_threads(process));
    write_masks(task, out);
    write_capabilities(&ids->capabilities, out);
}

static void write_mounts(const struct task *task, FILE *out)
{
    (void)task;
    fputs("rootfs / rootfs rw 0 0\n", out);
}

static const struct {
    const char *name;
    void (*write)(const struct task *task, FILE *out);
} texts[] = {
    {"maps", write_maps}, {"cmdline", write_cmdline}, {"environ", write_environ},
    {"comm", write_comm}, {"status", write_status},   {"mounts", write_mounts},
};

/* Puts a text into a file of its own that can only be read. A descriptor or -errno. */
static int generate(const struct task *task, void (*write_text)(const struct task *, FILE *))
{
    int fd = memfd_create("proc", MFD_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    int read_only;

    if (out == NULL) {
        if (fd >= 0)
            close(fd);
        return -ENOMEM;
    }
    write_text(task, out);
    if (fflush(out) == 0 && fchmod(fd, 0444) == 0)
        read_only = path_reopen(task->process->paths->root, fd, O_RDONLY, 0);
    else
        read_only = -EIO;
    fclose(out);
    return read_only;
}

static int generate_by_name(const struct task *task, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (strcmp(texts[i].name, name) == 0)
            return generate(task, texts[i].write);
    }
    return -ENOENT;
}

/* ------------------------------------------------------------------------
 * Replacing
 */

/* Makes the path the given one, followed by rest. */
static int replace_prefix(struct path_argument *argument, const char *with, const char *rest)
{
    char text[2 * PATH_MAX];
    int length = snprintf(text, sizeof(text), "%s%s", with, rest);

    if (length < 0 || length >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(argument->text, text, (size_t)length + 1);
    return 0;
}

/* True for the link itself and for paths that lead through it. */
static bool leads_through(const char *rest)
{
    return rest != NULL && (rest[0] == '\0' || rest[0] == '/');
}

static int replace_cwd(const struct task *task, const char *rest, struct path_argument *argument)
{
    const struct path_context *paths = task->process->paths;
    char cwd[PATH_MAX];
    ssize_t length = path_name_of(paths->root, paths->cwd_fd, cwd, sizeof(cwd));

    return length < 0 ? (int)length : replace_prefix(argument, cwd, rest);
}

static int replace_own(struct task *task, const char *name, bool follow, struct path_argument *argument)
{
    const char *behind_cwd = behind(name, "cwd");
    const char *behind_root = behind(name, "root");

    if (strcmp(name, "exe") == 0)
        return follow && task->process->executable != NULL ? replace_prefix(argument, task->process->executable, "")
                                                           : -EACCES;
    if (leads_through(behind_cwd))
        return replace_cwd(task, behind_cwd, argument);
    if (leads_through(behind_root))
        return replace_prefix(argument, "/", behind_root);
    argument->generated_fd = generate_by_name(task, name);
    return argument->generated_fd < 0 ? argument->generated_fd : 0;
}

/* The host's link shows what the guest's would: the mode that the file is open in. What it says stays hidden. */
static int replace_descriptor_link(const struct task *task, const struct file *file, struct path_argument *argument)
{
    char link[PATH_FD_NAME_SIZE];

    path_fd_name(file->host_fd, link);
    argument->generated_fd = openat(task->process->paths->root->self_fds, link, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return argument->generated_fd < 0 ? -errno : 0;
}

static int replace_descriptor(struct task *task, uint64_t fd, bool follow, struct path_argument *argument)
{
    struct file *file = task_file(task, fd);

    if (file == NULL)
        return -ENOENT;
    if (!follow)
        return replace_descriptor_link(task, file, argument);
    argument->file = file;
    /* As a path it would lead to what is outside of the root folder. */
    return file->inherited && file->kind == FILE_DIRECTORY ? -EACCES : 0;
}

static int replace_descriptor_folder(const struct task *task, struct path_argument *argument)
{
    argument->lists_fds = true;
    argument->generated_fd = openat(task->process->paths->root->self_fds, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return argument->generated_fd < 0 ? -errno : 0;
}

/* All names that the kernel answers begin so: most paths are seen to be none of them by that. */
static bool may_be_answered(const char *path)
{
    return behind(path, "/proc/") != NULL || behind(path, "/dev/") != NULL;
}

int proc_path_replace(struct task *task, bool follow, struct path_argument *argument)
{
    const char *name;
    int64_t fd;

    if (!may_be_answered(argument->text))
        return 0;
    fd = named_descriptor(task, argument->text);
    if (fd >= 0)
        return replace_descriptor(task, (uint64_t)fd, follow, argument);
    if (is_descriptor_folder(task, argument->text, follow))
        return replace_descriptor_folder(task, argument);
    name = behind_own_folder(task, argument->text);
    if (name == NULL && strcmp(argument->text, "/proc/mounts") == 0)
        name = "mounts";
    return name != NULL ? replace_own(task, name, follow, argument) : 0;
}

/* ------------------------------------------------------------------------
 * Links
 */

/* Pipes, sockets and the like have names that are no paths; they say the same inside as outside. */
static ssize_t name_of_file(const struct task *task, const struct file *file, char *buffer, size_t capacity)
{
    const struct root_folder *root = task->process->paths->root;
    char link[PATH_FD_NAME_SIZE];
    ssize_t length;

    if (file->kind == FILE_DESCRIPTORS)
        return snprintf(buffer, capacity, "/proc/%d/fd", task->process->pid);
    path_fd_name(file->host_fd, link);
    length = readlinkat(root->self_fds, link, buffer, capacity);
    if (length > 0 && buffer[0] != '/')
        return length;
    return path_name_of(root, file->host_fd, buffer, capacity);
}

static ssize_t copy_link(const char *text, char *buffer, size_t capacity)
{
    size_t length = strlen(text);

    if (length >= capacity)
        return -ENAMETOOLONG;
    memcpy(buffer, text, length + 1);
    return (ssize_t)length;
}

ssize_t proc_readlink(struct task *task, const char *path, char *buffer, size_t capacity)
{
    const struct path_context *paths = task->process->paths;
    const char *name;
    int64_t fd;

    if (!may_be_answered(path))
        return 0;
    fd = named_descriptor(task, path);
    name = behind_own_folder(task, path);
    if (fd >= 0) {
        const struct file *file = task_file(task, (uint64_t)fd);

        return file != NULL ? name_of_file(task, file, buffer, capacity) : -ENOENT;
    }
    if (strcmp(path, "/proc/self") == 0)
        return snprintf(buffer, capacity, "%d", task->process->pid);
    if (name == NULL)
        return 0;
    if (strcmp(name, "exe") == 0)
        return task->process->executable != NULL ? copy_link(task->process->executable, buffer, capacity) : -ENOENT;
    if (strcmp(name, "cwd") == 0)
        return path_name_of(paths->root, paths->cwd_fd, buffer, capacity);
    if (strcmp(name, "root") == 0)
        return copy_link("/", buffer, capacity);
    return -EINVAL;
}
