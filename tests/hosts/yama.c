/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What this host's Yama is set to. The setting is the whole machine's, and a
 * test that was killed could not put it back, so it is only read: opening, the
 * probe and `trapgate doctor` agree on what follows from it.
 */
#include "hosts.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "guest.h"

enum { SCOPE_CLASSIC, SCOPE_CHILDREN, SCOPE_CAPABILITY, SCOPE_NOBODY };

static int read_scope(void)
{
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = -1;

    if (!file)
        SKIP("no Yama here: /proc/sys/kernel/yama/ptrace_scope does not exist");
    CHECK_EQ(fscanf(file, "%d", &scope), 1);
    fclose(file);
    return scope;
}

static bool may_trace(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    CHECK_SYSTEM(syscall(SYS_capget, &header, sets));
    return sets[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE);
}

/* Stubs are children, and systrap traces nobody. */
static bool should_work(uint32_t backend, int scope)
{
    return backend != TG_BACKEND_PTRACE || scope <= SCOPE_CHILDREN || (scope == SCOPE_CAPABILITY && may_trace());
}

static void change_nothing(const struct environment *environment, long value)
{
    (void)environment;
    (void)value;
}

void check_yama(uint32_t backend)
{
    const struct environment environment = {.name = "yama", .prepare = change_nothing};
    const int scope = read_scope();
    char fact[64];
    struct outcome outcome;
    enum demo_end end = run_demo(&environment, 0, backend, &outcome);

    if (end != DEMO_FINISHED)
        check_failed(CHECK_HERE, "%s: %s", demo_end_text(end), outcome.failed);
    printf("scope %d: open %d %s\n", scope, outcome.opened, outcome.message);
    check_decent(&outcome);
    CHECK_EQ(outcome.opened == 0, should_work(backend, scope));
    CHECK(outcome.opened == 0 || strstr(outcome.message, "Yama"));
    CHECK_EQ(outcome.result, 0);
    snprintf(fact, sizeof(fact), "\nYama ptrace_scope        %d (", scope);
    check_doctor(backend, outcome.opened == 0, fact);
}
