/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One static file that holds a dynamic program and the libraries it needs, for
 * machines that have nothing but this file: it unpacks them below /tmp, starts
 * the program with the same arguments, and cleans up behind it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packed.h"

#define MOST_ARGUMENTS 16

static char folder[] = "/tmp/packed-XXXXXX";

static _Noreturn void give_up(const char *what)
{
    perror(what);
    _exit(127);
}

static void path_of(char *path, size_t capacity, const char *name)
{
    snprintf(path, capacity, "%s/%s", folder, name);
}

static void unpack(const struct packed_file *file)
{
    const char *next = file->start;
    char path[256];
    int descriptor;

    path_of(path, sizeof(path), file->name);
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (descriptor < 0)
        give_up(path);
    while (next < file->end) {
        ssize_t written = write(descriptor, next, (size_t)(file->end - next));

        if (written <= 0)
            give_up(path);
        next += written;
    }
    close(descriptor);
}

/* LOADER --library-path FOLDER FOLDER/PROGRAM ARGUMENTS */
static _Noreturn void start(char **arguments)
{
    char *command[MOST_ARGUMENTS + 5];
    char loader[256];
    char program[256];
    size_t count = 0;

    path_of(loader, sizeof(loader), PACKED_LOADER);
    path_of(program, sizeof(program), PACKED_PROGRAM);
    command[count++] = loader;
    command[count++] = "--library-path";
    command[count++] = folder;
    command[count++] = program;
    for (arguments++; *arguments && count < MOST_ARGUMENTS + 4; arguments++)
        command[count++] = *arguments;
    command[count] = NULL;
    execv(loader, command);
    give_up(loader);
}

static void clean_up(void)
{
    const struct packed_file *file;
    char path[256];

    for (file = packed_files; file->name; file++) {
        path_of(path, sizeof(path), file->name);
        unlink(path);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct packed_file *file;
    pid_t child;
    int status;

    (void)argc;
    if (!mkdtemp(folder))
        give_up(folder);
    for (file = packed_files; file->name; file++)
        unpack(file);
    child = fork();
    if (child == 0)
        start(argv);
    if (child < 0 || waitpid(child, &status, 0) != child)
        give_up("the packed program");
    clean_up();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
