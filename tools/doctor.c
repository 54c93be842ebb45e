/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <trapgate/trapgate.h>

#include "backend_names.h"
#include "commands.h"

static void print_fact(const char *name, const char *value)
{
    printf("%-24s %s\n", name, value);
}

/* The first line of a small file of /proc or /sys; false when there is none. */
static bool read_line(const char *path, char *line, size_t capacity)
{
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, (int)capacity, file);

    if (file)
        fclose(file);
    if (found)
        line[strcspn(line, "\n")] = '\0';
    return found;
}

static void print_kernel(void)
{
    struct utsname names;
    char text[256];

    if (uname(&names) != 0)
        return;
    snprintf(text, sizeof(text), "%.64s %.64s on %.64s", names.sysname, names.release, names.machine);
    print_fact("kernel", text);
    snprintf(text, sizeof(text), "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    print_fact("processors", text);
}

/* What each value of kernel.yama.ptrace_scope means for the ptrace backend: stubs are children of the embedder. */
static const char *const yama_meanings[] = {
    "0 (any process of the same user may be traced)",
    "1 (children may be traced: enough)",
    "2 (tracing needs CAP_SYS_PTRACE)",
    "3 (nobody may trace anything until the next boot)",
};

static void print_yama(void)
{
    char line[32];
    unsigned long scope;

    if (!read_line("/proc/sys/kernel/yama/ptrace_scope", line, sizeof(line))) {
        print_fact("Yama ptrace_scope", "not there (no limits)");
        return;
    }
    scope = strtoul(line, NULL, 10);
    print_fact("Yama ptrace_scope", scope < 4 ? yama_meanings[scope] : line);
}

static void print_seccomp(void)
{
    char actions[256];
    int mode = prctl(PR_GET_SECCOMP);

    if (mode < 0)
        print_fact("seccomp", "not in this kernel");
    else
        print_fact("seccomp",
                   mode == 0 ? "available, no filter on this process" : "a filter is on this process already");
    if (read_line("/proc/sys/kernel/seccomp/actions_avail", actions, sizeof(actions)))
        print_fact("seccomp actions", actions);
}

static void print_memory_limits(void)
{
    char line[64];

    print_fact("vm.mmap_min_addr", read_line("/proc/sys/vm/mmap_min_addr", line, sizeof(line)) ? line : "unreadable");
    print_fact("vm.max_map_count", read_line("/proc/sys/vm/max_map_count", line, sizeof(line)) ? line : "unreadable");
}

static const struct {
    unsigned bit;
    const char *name;
} capabilities[] = {
    {19, "CAP_SYS_PTRACE"},   {21, "CAP_SYS_ADMIN"}, {23, "CAP_SYS_NICE"},
    {24, "CAP_SYS_RESOURCE"}, {17, "CAP_SYS_RAWIO"},
};

static bool read_effective_capabilities(unsigned long long *set)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, "CapEff: %llx", set) == 1;
    if (file)
        fclose(file);
    return found;
}

static void print_capabilities(void)
{
    unsigned long long set;
    char text[256] = "";
    size_t length = 0;

    if (!read_effective_capabilities(&set)) {
        print_fact("capabilities", "unreadable: is /proc mounted?");
        return;
    }
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
        if ((set & (1ULL << capabilities[i].bit)) && length < sizeof(text))
            length +=
                (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", length ? " " : "", capabilities[i].name);
    print_fact("capabilities", text[0] ? text : "none that matters (none is needed)");
}

static void print_limits(void)
{
    static const struct {
        const char *name;
        __rlimit_resource_t resource;
    } limits[] = {{"limit: processes", RLIMIT_NPROC}, {"limit: descriptors", RLIMIT_NOFILE}};
    struct rlimit limit;
    char text[64];

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (getrlimit(limits[i].resource, &limit) != 0)
            continue;
        if (limit.rlim_cur == RLIM_INFINITY)
            snprintf(text, sizeof(text), "none");
        else
            snprintf(text, sizeof(text), "%llu", (unsigned long long)limit.rlim_cur);
        print_fact(limits[i].name, text);
    }
}

/* The files of 'trapgate run' are confined with openat2(2). */
static void print_openat2(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
    char text[256];

    if (fd >= 0)
        close(fd);
    else
        snprintf(text, sizeof(text),
                 "refused (%s): 'trapgate run' needs Linux 5.6 or newer, and a filter that lets it pass",
                 strerror(errno));
    print_fact("openat2", fd >= 0 ? "available" : text);
}

static const struct {
    uint64_t bit;
    const char *text;
} platform_capabilities[] = {
    {TG_CAP_ACCESS_EXACT, "exact fault access"},
    {TG_CAP_SINGLE_STEP, "single step"},
    {TG_CAP_TRAP_CPUID, "CPUID traps"},
    {TG_CAP_TRAP_TSC, "RDTSC traps"},
    {TG_CAP_PATCHING, "patched system calls"},
    {TG_CAP_SYSCALL_ARCH, "compat calls told apart"},
    {TG_CAP_VSYSCALL, "vsyscall"},
    {TG_CAP_ANSWERS, "calls answered in the stub"},
};

static void print_platform_capabilities(uint32_t backend)
{
    tg_platform_options options = {.size = sizeof(options), .backend = backend};
    tg_info info = {.size = sizeof(info)};
    tg_platform *platform;
    const char *separator = "";

    if (tg_platform_open(&options, &platform) != 0)
        return;
    if (tg_platform_info(platform, &info) == 0) {
        printf("    has: ");
        for (size_t i = 0; i < sizeof(platform_capabilities) / sizeof(platform_capabilities[0]); i++)
            if (info.capabilities & platform_capabilities[i].bit) {
                printf("%s%s", separator, platform_capabilities[i].text);
                separator = ", ";
            }
        printf("\n    guest addresses: %#llx to %#llx\n", (unsigned long long)info.user_start,
               (unsigned long long)info.user_end);
    }
    tg_platform_close(platform);
}

/* True when the backend works. */
static bool check_backend(const char *name, uint32_t backend)
{
    tg_probe probe = {.size = sizeof(probe)};
    int err = tg_platform_probe(backend, &probe);

    if (err) {
        printf("%s: could not be probed: %s\n", name, tg_strerror(err));
        return false;
    }
    if (probe.available) {
        printf("%s: works\n", name);
        print_platform_capabilities(backend);
        return true;
    }
    printf("%s: does not work here\n    step:   %s\n    reason: %s\n    remedy: %s\n", name, probe.step, probe.reason,
           probe.remedy);
    return false;
}

/* What a program gets that leaves the choice to the library. */
static void print_choice(void)
{
    tg_probe probe = {.size = sizeof(probe)};
    const char *name = "none";

    if (tg_platform_probe(TG_BACKEND_AUTO, &probe) != 0)
        return;
    for (size_t i = 0; probe.available && i < BACKEND_NAMES; i++)
        if (probe.backend == backend_names[i].backend)
            name = backend_names[i].name;
    printf("auto: takes %s", name);
    if (!probe.available || probe.backend != TG_BACKEND_SYSTRAP) {
        probe = (tg_probe){.size = sizeof(probe)};
        if (tg_platform_probe(TG_BACKEND_SYSTRAP, &probe) == 0 && !probe.available)
            printf(", because systrap does not work here: %s (%s)", probe.reason, probe.step);
    }
    printf("\n");
}

static void print_help(void)
{
    printf(
        "Usage: trapgate doctor [--help]\n\n"
        "Prints the facts of this machine that matter to Trapgate, tries each backend, and says\n"
        "what works, why not, what to do about it, and which one programs get. The exit status is 0 when at least one\n"
        "backend works, else 1.\n");
}

int command_doctor(int argc, char **argv)
{
    static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int code;
    bool works = false;

    optind = 1;
    while ((code = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (code != 'h')
            return EXIT_TRAPGATE_FAILED;
        print_help();
        return 0;
    }
    if (optind < argc) {
        fprintf(stderr, "trapgate: doctor takes no arguments\n");
        return EXIT_TRAPGATE_FAILED;
    }
    print_fact("trapgate", tg_version_string());
    print_kernel();
    print_yama();
    print_seccomp();
    print_memory_limits();
    print_capabilities();
    print_limits();
    print_openat2();
    printf("\n");
    for (size_t i = 0; i < BACKEND_NAMES; i++)
        works = check_backend(backend_names[i].name, backend_names[i].backend) || works;
    print_choice();
    return works ? 0 : 1;
}
