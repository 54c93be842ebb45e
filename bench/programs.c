/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "programs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

#define LINE_MAX_SHOWN 160

FILE *scratch_file(void)
{
    FILE *file = tmpfile();

    sample_require(file != NULL, "tmpfile");
    return file;
}

static __attribute__((noreturn)) void execute(const char *path, char *const argv[], FILE *output, FILE *errors)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(nowhere, STDIN_FILENO) >= 0 && dup2(output ? fileno(output) : nowhere, STDOUT_FILENO) >= 0 &&
        dup2(fileno(errors), STDERR_FILENO) >= 0)
        execv(path, argv);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(127);
}

static __attribute__((noreturn)) void fail_with_last_line(const char *path, int status, FILE *errors)
{
    char line[LINE_MAX_SHOWN] = "";

    while (fgets(line, sizeof(line), errors))
        continue;
    sample_fail("%s ended with status 0x%x: %.*s", path, (unsigned)status, (int)strcspn(line, "\n"), line);
}

void run_program(const char *path, char *const argv[], FILE *output, FILE *errors)
{
    int status;
    pid_t pid = fork();

    sample_require(pid >= 0, "fork");
    if (pid == 0)
        execute(path, argv, output, errors);
    sample_require(waitpid(pid, &status, 0) == pid, "waitpid");
    rewind(errors);
    if (output)
        rewind(output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_with_last_line(path, status, errors);
}
