/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "programs/loader.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch.h"
#include "files/executable.h"
#include "files/path.h"
#include "files/path_name.h"
#include "memory/address_space.h"
#include "memory/mapping_batch.h"
#include "programs/elf_plan.h"
#include "programs/first_stack.h"
#include "programs/own_names.h"
#include "tasks/process.h"
#include "tasks/sandbox_state.h"

/* How many interpreters may stand between a script and a program. */
#define SCRIPT_DEPTH_MAX 4

#define SCRIPT_LINE_MAX 256

struct program_file {
    int fd;
    struct elf_plan plan;
    size_t head_length;
    unsigned char *head; /* ELF_HEAD_MAX bytes */
};

/* Both are open until all of their segments are mapped. */
struct program_files {
    struct program_file program;
    struct program_file interpreter;
};

static int open_file(struct process *process, const char *path, struct program_file *file)
{
    ssize_t n;

    file->fd = own_name_open(process, path);
    if (file->fd == -ENODEV)
        file->fd = executable_open(process->paths, path);
    if (file->fd < 0)
        return file->fd;
    file->head = malloc(ELF_HEAD_MAX);
    if (!file->head)
        return -ENOMEM;
    n = pread(file->fd, file->head, ELF_HEAD_MAX, 0);
    if (n < 0)
        return -errno;
    file->head_length = (size_t)n;
    return 0;
}

static void close_file(struct program_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    free(file->head);
    file->fd = -1;
    file->head = NULL;
}

static int plan_file(const struct process *process, struct program_file *file)
{
    const tg_info *info = &process->sandbox->info;
    const struct elf_limits limits = {
        .machine = arch_elf_machine, .page_size = info->page_size, .address_max = info->user_end};

    return elf_plan_read(file->head, file->head_length, &limits, &file->plan);
}

/*
 * "#!interpreter argument": the interpreter is run with the rest of the line as
 * one argument, the script's path, and the script's own arguments.
 */
static int apply_script_line(struct program_file *file, struct program *program, char **path)
{
    char line[SCRIPT_LINE_MAX] = {0};
    char *interpreter, *argument, *end;
    int err;

    memcpy(line, file->head + 2, file->head_length - 2 < sizeof(line) - 1 ? file->head_length - 2 : sizeof(line) - 1);
    end = strchr(line, '\n');
    if (!end)
        return -ENOEXEC;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    interpreter = line + strspn(line, " \t");
    argument = interpreter + strcspn(interpreter, " \t");
    if (*argument) {
        *argument++ = '\0';
        argument += strspn(argument, " \t");
    }
    if (!*interpreter)
        return -ENOEXEC;
    string_list_remove_first(&program->arguments);
    err = string_list_add_first(&program->arguments, *path);
    if (!err && *argument)
        err = string_list_add_first(&program->arguments, argument);
    if (!err)
        err = string_list_add_first(&program->arguments, interpreter);
    if (err)
        return err;
    free(*path);
    *path = strdup(interpreter);
    return *path ? 0 : -ENOMEM;
}

/* Opens the file that really runs: scripts lead to their interpreters. */
static int open_program(struct process *process, struct program *program, struct program_file *file, char **path)
{
    int err;

    *path = strdup(program->path);
    if (!*path)
        return -ENOMEM;
    for (int depth = 0;; depth++) {
        err = open_file(process, *path, file);
        if (err || file->head_length < 2 || memcmp(file->head, "#!", 2) != 0)
            return err;
        if (depth == SCRIPT_DEPTH_MAX)
            return -ELOOP;
        err = apply_script_line(file, program, path);
        if (err)
            return err;
        close_file(file);
    }
}

/* A segment that the program cannot write keeps the file's bytes behind its end, as on Linux. */
static bool has_tail(const struct elf_segment *segment, uint64_t file_pages)
{
    return segment->file_end < file_pages && segment->memory_end != segment->file_end &&
           (segment->prot & TG_PROT_WRITE);
}

static int map_segment(struct mapping_batch *batch, const struct elf_segment *segment, uint64_t base, int fd,
                       struct memory_object *object, uint64_t page_size)
{
    uint64_t file_pages = (segment->file_end + page_size - 1) & ~(page_size - 1);
    struct vma from_file = {.start = base + segment->start,
                            .end = base + file_pages,
                            .prot = segment->prot,
                            .object = object,
                            .offset = segment->file_offset};
    struct vma zeros = {.start = base + file_pages, .end = base + segment->end, .prot = segment->prot};
    int err = 0;

    if (segment->file_end == segment->start)
        zeros.start = base + segment->start;
    else
        err = mapping_batch_add(batch, &from_file, 0, fd);
    if (!err && segment->file_end > segment->start && has_tail(segment, file_pages))
        mapping_batch_clear_tail(batch, base + segment->file_end);
    if (!err && zeros.start < zeros.end)
        err = mapping_batch_add(batch, &zeros, 0, -1);
    return err;
}

static int map_file(struct sandbox *sandbox, struct mapping_batch *batch, const struct program_file *file,
                    const char *path, uint64_t base)
{
    struct memory_object *object = memory_object_create(-1, path);
    int err = object ? 0 : -ENOMEM;

    for (size_t i = 0; !err && i < file->plan.segment_count; i++)
        err = map_segment(batch, &file->plan.segments[i], base, file->fd, object, sandbox->info.page_size);
    memory_object_put(object);
    return err;
}

/*
 * Far from the mappings, with room for the heap behind; where Linux would, if
 * the address space is as large as there.
 */
static uint64_t program_address(const struct address_space *space, uint64_t length)
{
    uint64_t chance = 0;

    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
        chance = 0;
    chance = arch_program_base + chance % arch_program_range;
    return memory_map_is_free(&space->map, chance, chance + length) ? chance : space->map.highest / 3 * 2;
}

static int choose_base(struct address_space *space, const struct elf_plan *plan, bool is_interpreter, uint64_t *base)
{
    uint64_t length = plan->end - plan->start, align = plan->alignment;
    uint64_t start;

    *base = 0;
    if (!plan->position_independent) {
        space->met_reserved = memory_map_is_reserved(&space->map, plan->start, plan->end);
        return memory_map_is_free(&space->map, plan->start, plan->end) ? 0 : -ENOMEM;
    }
    if (is_interpreter)
        start = memory_map_search(&space->map, length + align, space->map.search_top);
    else
        start = program_address(space, length + align);
    start = (start + align - 1) & ~(align - 1);
    if (!start || !memory_map_is_free(&space->map, start, start + length))
        return -ENOMEM;
    *base = start - plan->start;
    return 0;
}

/* Its file stays open for the batch. */
static int load_interpreter(struct process *process, struct mapping_batch *batch, const struct program_file *program,
                            struct program_file *file, struct program_image *image)
{
    char path[ELF_INTERPRETER_MAX];
    uint64_t length = program->plan.interpreter_length;
    int err;

    if (pread(program->fd, path, length, (off_t)program->plan.interpreter_offset) != (ssize_t)length ||
        path[length - 1] != '\0')
        return -ENOEXEC;
    err = open_file(process, path, file);
    if (!err)
        err = plan_file(process, file);
    if (!err)
        err = choose_base(batch->space, &file->plan, true, &image->interpreter_base);
    if (!err)
        err = map_file(process->sandbox, batch, file, path, image->interpreter_base);
    image->start_address = image->interpreter_base + file->plan.entry;
    return err;
}

static int load_image(struct process *process, struct mapping_batch *batch, struct program_files *files,
                      const char *path, struct program_image *image)
{
    const struct program_file *file = &files->program;
    struct address_space *space = batch->space;
    uint64_t base;
    int err = choose_base(space, &file->plan, false, &base);

    if (!err)
        err = map_file(process->sandbox, batch, file, path, base);
    if (err)
        return err;
    image->entry = image->start_address = base + file->plan.entry;
    image->headers = file->plan.headers ? base + file->plan.headers : 0;
    image->header_size = file->plan.header_size;
    image->header_count = file->plan.header_count;
    image->executable_stack = file->plan.executable_stack;
    space->brk_start = space->brk_end = base + file->plan.end;
    return file->plan.interpreter_length ? load_interpreter(process, batch, file, &files->interpreter, image) : 0;
}

/* What /proc/self/exe says: the absolute name of the file, which links may have led to. */
static int name_executable(const struct process *process, const struct program_file *file, const char *path,
                           char **executable)
{
    char name[PATH_MAX];
    ssize_t length = path_name_of(process->paths->root, file->fd, name, sizeof(name));

    *executable = length > 0 ? strndup(name, (size_t)length) : strdup(path);
    return *executable ? 0 : -ENOMEM;
}

int loader_load(struct process *process, struct address_space *space, struct program *program,
                struct loaded_program *loaded)
{
    struct program_files files = {.program = {.fd = -1}, .interpreter = {.fd = -1}};
    struct mapping_batch batch = {.space = space};
    struct program_image image = {0};
    char *path = NULL;
    int err = open_program(process, program, &files.program, &path);

    *loaded = (struct loaded_program){0};
    if (!err)
        err = plan_file(process, &files.program);
    if (!err)
        err = load_image(process, &batch, &files, path, &image);
    if (!err)
        err = first_stack_build(process, &batch, program, &image, &loaded->stack_pointer);
    if (!err)
        err = name_executable(process, &files.program, path, &loaded->executable);
    loaded->entry = image.start_address;
    close_file(&files.interpreter);
    close_file(&files.program);
    free(path);
    return err;
}
