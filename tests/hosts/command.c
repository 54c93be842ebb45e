/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * `trapgate run` with each call refused that it, the library or a stub makes: it
 * runs its guest, or says in one sentence what is in the way, and never hangs or
 * crashes. `trapgate doctor` says what then happens.
 */
#include "hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trapgate/trapgate.h>

#include "check.h"
#include "command_guest.h"
#include "filter.h"
#include "guest.h"

#define OUTPUT_SIZE 16384
#define PREFIX      "trapgate: "

struct command {
    const char *const *arguments;
    int files[3]; /* its standard streams */
    int nr;       /* refused */
    long value;
};

/* How it ended, and what it said. */
struct said {
    enum demo_end end;
    int status; /* as waitpid(2) gives it */
    char out[OUTPUT_SIZE];
    char err[OUTPUT_SIZE];
};

static const char *backend_name(uint32_t backend)
{
    return backend == TG_BACKEND_PTRACE ? "ptrace" : "systrap";
}

/* ---- one run ---- */

/* Nobody reads while it is written, so it holds all, and no more: what has no end gets an error. */
static int make_output(void)
{
    int fd = CHECK_SYSTEM(memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING));

    CHECK_SYSTEM(ftruncate(fd, OUTPUT_SIZE - 1));
    CHECK_SYSTEM(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    return fd;
}

static void take_output(int fd, char text[OUTPUT_SIZE])
{
    CHECK_EQ(pread(fd, text, OUTPUT_SIZE - 1, 0), OUTPUT_SIZE - 1);
    text[OUTPUT_SIZE - 1] = '\0';
    CHECK_SYSTEM(close(fd));
}

static void set_standard_streams(void *argument)
{
    const struct command *command = argument;

    for (int fd = 0; fd < 3; fd++)
        CHECK_SYSTEM(dup2(command->files[fd], fd));
}

static void become_the_command(void *argument)
{
    const struct command *command = argument;

    execv(TRAPGATE_COMMAND, (char *const *)command->arguments);
    _exit(126);
}

static void become_it_and_refuse(void *argument)
{
    const struct command *command = argument;
    char text[64];

    snprintf(text, sizeof(text), "%d %ld", command->nr, command->value);
    setenv(LATE_VARIABLE, text, 1);
    setenv("LD_PRELOAD", LATE_MODULE, 1);
    become_the_command(argument);
}

static void do_nothing(const struct environment *environment, long value)
{
    (void)environment;
    (void)value;
}

enum denied_from {
    NOTHING,
    FROM_EXEC, /* what the dynamic loader and the C library do before main(), too */
    FROM_MAIN,
};

static void run_command(struct command *command, enum denied_from from, struct said *said)
{
    const struct environment environment = {
        .name = "refused", .prepare = from == FROM_EXEC ? refuse_call : do_nothing, .what = command->nr};
    const struct apart apart = {.set_up = set_standard_streams,
                                .run = from == FROM_MAIN ? become_it_and_refuse : become_the_command,
                                .argument = command};

    command->files[0] = CHECK_SYSTEM(open("/dev/null", O_RDWR | O_CLOEXEC));
    command->files[1] = make_output();
    command->files[2] = make_output();
    said->end = run_apart(&environment, command->value, &apart, &said->status);
    CHECK_SYSTEM(close(command->files[0]));
    take_output(command->files[1], said->out);
    take_output(command->files[2], said->err);
}

/* ---- what must come of it ---- */

static bool exited_with(const struct said *said, int status)
{
    return WIFEXITED(said->status) && WEXITSTATUS(said->status) == status;
}

static bool guest_was_done(const struct said *said)
{
    return exited_with(said, 0) && strcmp(said->out, GUEST_DONE) == 0;
}

static bool guest_saw_it(const struct said *said)
{
    return exited_with(said, GUEST_REFUSED) && said->err[0] == '\0';
}

/* The only line on stderr, which names the call. */
static void check_sentence(const char *text, int nr)
{
    char *call = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0 || text[strcspn(text, "\n")] == '\0' ||
        strcmp(text + strcspn(text, "\n"), "\n") != 0)
        check_failed(CHECK_HERE, "no sentence of the command's: %s", text);
    if (!call || !strstr(text, call))
        check_failed(CHECK_HERE, "another cause than %s: %s", call ? call : "the call", text);
    free(call);
}

static void check_run(const struct said *said, int nr)
{
    if (said->end != DEMO_FINISHED)
        check_failed(CHECK_HERE, "%s: %s", demo_end_text(said->end), said->err);
    if (WIFSIGNALED(said->status))
        check_failed(CHECK_HERE, "the command was ended by signal %d", WTERMSIG(said->status));
    if (guest_was_done(said) || guest_saw_it(said))
        return;
    if (WEXITSTATUS(said->status) == 0)
        check_failed(CHECK_HERE, "success without what the guest writes: %s %s", said->out, said->err);
    /* Without write(2) nothing can be said. */
    if (nr != SYS_write)
        check_sentence(said->err, nr);
}

/* ---- what doctor says ---- */

static bool says_usable(const struct said *doctor, uint32_t backend)
{
    char line[64];

    snprintf(line, sizeof(line), "\n%s: works\n", backend_name(backend));
    return strstr(doctor->out, line) != NULL;
}

/* What opening says ends with a remedy, behind a semicolon. The kernel and the command say nothing of that form. */
static bool opened(const struct said *run)
{
    return guest_was_done(run) || guest_saw_it(run) || (run->err[0] && !strstr(run->err, "; "));
}

static bool says_nothing_of_the_platform(const struct said *run)
{
    return strncmp(run->err, PREFIX "cannot open the root folder", strlen(PREFIX "cannot open the root folder")) == 0;
}

static void check_ended(const struct said *doctor)
{
    if (doctor->end != DEMO_FINISHED)
        check_failed(CHECK_HERE, "doctor: %s", demo_end_text(doctor->end));
    if (!WIFEXITED(doctor->status) || WEXITSTATUS(doctor->status) > 1)
        check_failed(CHECK_HERE, "doctor: status %#x: %s", (unsigned)doctor->status, doctor->err);
    if (WEXITSTATUS(doctor->status) != (strstr(doctor->out, ": works\n") ? 0 : 1))
        check_failed(CHECK_HERE, "doctor: status %d after: %s", WEXITSTATUS(doctor->status), doctor->out);
}

static void check_agreement(const struct said *doctor, const struct said *run, uint32_t backend)
{
    check_ended(doctor);
    if (!says_nothing_of_the_platform(run) && says_usable(doctor, backend) != opened(run))
        check_failed(CHECK_HERE, "run %s the platform, and doctor says: %s", opened(run) ? "opened" : "could not open",
                     doctor->out);
}

void check_doctor(uint32_t backend, bool works, const char *text)
{
    const char *const arguments[] = {"trapgate", "doctor", NULL};
    struct command command = {.arguments = arguments};
    struct said said;

    if (TRAPGATE_COMMAND[0] == '\0')
        SKIP("built without the trapgate command");
    run_command(&command, NOTHING, &said);
    check_ended(&said);
    CHECK_EQ(says_usable(&said, backend), works);
    if (!strstr(said.out, text))
        check_failed(CHECK_HERE, "no '%s' in %s", text, said.out);
}

/* ---- the sweep ---- */

/*
 * Before main() the dynamic loader and the C library make calls as well, and
 * some of these they cannot do without. Such a call is refused from main() on.
 */
static bool gets_to_main(int nr, long value)
{
    const char *const arguments[] = {"trapgate", "--version", NULL};
    struct command command = {.arguments = arguments, .nr = nr, .value = value};
    struct said said;

    run_command(&command, FROM_EXEC, &said);
    return said.end == DEMO_FINISHED && said.status == 0;
}

static void try_call(uint32_t backend, int nr, long value)
{
    const char *const run_arguments[] = {"trapgate", "run",         "--backend", backend_name(backend),
                                         "--",       COMMAND_GUEST, NULL};
    const char *const doctor_arguments[] = {"trapgate", "doctor", NULL};
    struct command run = {.arguments = run_arguments, .nr = nr, .value = value};
    struct command doctor = {.arguments = doctor_arguments, .nr = nr, .value = value};
    struct said run_said;
    struct said doctor_said;
    enum denied_from from = gets_to_main(nr, value) ? FROM_EXEC : FROM_MAIN;

    run_command(&run, from, &run_said);
    run_command(&doctor, from, &doctor_said);
    printf("%sstatus %#x %s%s", from == FROM_MAIN ? "from main on: " : "", (unsigned)run_said.status, run_said.out,
           run_said.err);
    printf("  doctor: %s\n", says_usable(&doctor_said, backend) ? "works" : "does not work");
    if (value == KILL) {
        CHECK(run_said.end == DEMO_FINISHED);
        CHECK(doctor_said.end == DEMO_FINISHED);
        return;
    }
    check_run(&run_said, nr);
    check_agreement(&doctor_said, &run_said, backend);
}

static void record_command(uint32_t backend, bool calls[CALLS_MAX])
{
    const char *const arguments[] = {"trapgate", "run", "--backend", backend_name(backend), "--", COMMAND_GUEST, NULL};
    struct command command = {.arguments = arguments};
    const struct apart apart = {.set_up = set_standard_streams, .run = become_the_command, .argument = &command};
    struct said said;

    command.files[0] = CHECK_SYSTEM(open("/dev/null", O_RDWR | O_CLOEXEC));
    command.files[1] = make_output();
    command.files[2] = make_output();
    record_apart(&apart, calls);
    take_output(command.files[1], said.out);
    take_output(command.files[2], said.err);
    if (strcmp(said.out, GUEST_DONE) != 0)
        check_failed(CHECK_HERE, "though no call was denied: %s %s", said.out, said.err);
    /* Made before the filter could let it pass: it is how the command begins. */
    calls[SYS_execve] = false;
}

int sweep_command(uint32_t backend, const char *how)
{
    bool calls[CALLS_MAX] = {false};

    if (TRAPGATE_COMMAND[0] == '\0')
        SKIP("built without the trapgate command");
    record_command(backend, calls);
    return sweep_calls(backend, how, calls, try_call);
}
