/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * trapgate/trapgate.h - run untrusted Linux code and receive every system
 * call, fault and signal that it raises.
 *
 * The words
 *   embedder    the program that links this library; trusted
 *   guest       the code that runs inside; never trusted
 *   platform    one opened backend: ptrace or systrap
 *   subprocess  a guest address space, held by a stub process
 *   context     the machine state of one guest thread
 *   switch      run a context in a subprocess until there is an event
 *   event       why a switch came back
 *   queue       runs many contexts for one waiting thread
 *
 * Results
 *   Functions that return int return 0 when they wrote what they promise, and
 *   a negative errno of this closed list when they did not:
 *     -EINVAL      an argument that is never right
 *     -E2BIG       a struct of a newer header with a field set that this
 *                  library does not know
 *     -ENOMEM      the host has no memory, address space or map count left
 *     -EAGAIN      the host refuses another process or thread (RLIMIT_NPROC,
 *                  pids cgroup); try again later
 *     -EMFILE      no descriptor left
 *     -EBUSY       the handle is in use in a way that forbids this call
 *     -ESRCH       the subprocess is dead
 *     -EFAULT      guest memory that is not there or forbids the access
 *     -EPERM       the host forbids what the backend needs (see tg_probe)
 *     -EACCES      a descriptor that cannot be mapped in the way asked for
 *     -EBADF       a descriptor that is not open
 *     -ENODEV      a descriptor that cannot be mapped at all
 *     -EEXIST      reserved for TG_MEM_MAP with TG_MAP_NOREPLACE
 *     -EOPNOTSUPP  this backend, machine or kernel cannot do that
 *     -EIO         the host did something that the library cannot explain
 *   tg_platform_last_error() then holds a sentence, for the thread that called,
 *   that says which step failed and what to do. What the guest does, its death
 *   included, is an event and never an error. No function aborts, exits, raises
 *   a signal in the embedder, installs a signal handler or waits for a child
 *   that is not a stub.
 *
 * Structs
 *   Each struct passed in or out starts with its size, set by the caller to
 *   sizeof(the struct). A shorter struct is taken as if zeros followed; in a
 *   longer one the bytes that this library does not know must be zero
 *   (-E2BIG). The shortest accepted is 32 bytes for tg_event, all of it before
 *   u, and 4 for every other struct, the size alone; the longest is 65536.
 *   Other sizes are -EINVAL. No byte behind the stated size is touched.
 *   Arrays of structs take their stride from the first element's size.
 *
 * Threads
 *   Every handle works from every thread. A context runs in one place at a
 *   time (-EBUSY otherwise); functions that read or change a context must not
 *   run while it is being switched, except tg_context_interrupt(). Operations
 *   on a subprocess are safe from several threads at once. A destroy or close
 *   must be the last call on its handle. docs/threading.md says more.
 */
#ifndef TRAPGATE_TRAPGATE_H
#define TRAPGATE_TRAPGATE_H

#include <stddef.h>
#include <stdint.h>

#include <trapgate/regs.h>
#include <trapgate/version.h>

#if defined(__GNUC__)
#define TG_API __attribute__((visibility("default")))
#else
#define TG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_platform tg_platform;
typedef struct tg_subprocess tg_subprocess;
typedef struct tg_context tg_context;
typedef struct tg_queue tg_queue;

/* ------------------------------------------------------------------------
 * Version and error texts. Any thread, no handle.
 */

/* The ABI version of the library at run time; compare with TG_ABI_VERSION. */
TG_API uint32_t tg_abi_version(void);

/* "0.1.0"; static storage. */
TG_API const char *tg_version_string(void);

/*
 * A short English text for a result of this library. Takes both -EINVAL and
 * EINVAL; unknown numbers get a generic text. Static storage.
 */
TG_API const char *tg_strerror(int err);

/* ------------------------------------------------------------------------
 * Platform
 */

#define TG_BACKEND_AUTO    0 /* the fastest one that works here */
#define TG_BACKEND_PTRACE  1 /* PTRACE_SYSEMU: stock kernels, no privilege */
#define TG_BACKEND_SYSTRAP 2 /* SIGSYS and shared memory */

/*
 * Deliver the CPUID instruction as an EXCEPTION event (SIGSEGV, SI_KERNEL)
 * instead of running it: arch_prctl(ARCH_SET_CPUID). Opening fails with
 * -EOPNOTSUPP where the processor cannot (see TG_CAP_TRAP_CPUID).
 */
#define TG_OPEN_TRAP_CPUID   0x1
/* The same for RDTSC and RDTSCP: prctl(PR_SET_TSC). See TG_CAP_TRAP_TSC. */
#define TG_OPEN_TRAP_TSC     0x2
/* systrap: never write into guest code; then there is no TG_CAP_PATCHING. Accepted and without effect on ptrace. */
#define TG_OPEN_NO_PATCHING  0x4
/* Leave the placing of stub threads on processors to the kernel (slower; see docs/performance.md). */
#define TG_OPEN_NO_PLACEMENT 0x8
/* Measure how long switches and their handoffs take (tg_stats.*_latency): a few looks at clocks for each. */
#define TG_OPEN_LATENCY      0x10
/*
 * Guests get the host's vDSO, so that clock_gettime(2) and the like need no
 * event. What it cannot answer it makes a call of, an event like any other.
 * tg_info.vdso says where it is, or that there is none: with TG_OPEN_TRAP_TSC,
 * and where the host does not have it moved. A host that seals it (mseal(2))
 * keeps it where the embedder has it, in every guest, with this flag or without.
 * Guests then see the host's clocks, and on which processor they run.
 */
#define TG_OPEN_VDSO         0x20
/*
 * Guests get a vDSO of the library's own, which tells the time that
 * tg_subprocess_set_clocks() says. Until it says anything, and of clocks that it
 * says nothing of, guests make the call, an event like any other. They see no
 * clock of the host's but the counter, which the processor shows them anyway.
 * With TG_OPEN_VDSO too: this one where the host's cannot be moved. Accepted and
 * without effect (tg_info.vdso_kind) where there is none for the processor.
 */
#define TG_OPEN_VDSO_OWN     0x40

typedef struct tg_platform_options {
    uint32_t size;             /* sizeof(tg_platform_options), at least 4 */
    uint32_t backend;          /* TG_BACKEND_* */
    uint64_t flags;            /* TG_OPEN_* */
    char *message;             /* where opening writes its sentence when it fails, or NULL */
    uint64_t message_capacity; /* bytes at message; the text is cut and always terminated */
    uint64_t spin_ns;          /* systrap: as for tg_platform_set_spin() */
} tg_platform_options;

typedef struct tg_probe {
    uint32_t size;      /* in: sizeof(tg_probe), at least 4 */
    uint32_t backend;   /* out: the backend that was looked at (AUTO: the one it picks) */
    uint32_t available; /* out: 1 or 0 */
    int32_t error;      /* out: what tg_platform_open() would return */
    char step[48];      /* out: the step that fails, "" when none does */
    char reason[208];   /* out: why it fails */
    char remedy[256];   /* out: what to do about it */
} tg_probe;

/*
 * Tries whether a backend works here, by setting one up, running a guest and
 * taking it down again (a few milliseconds; nothing stays behind). Fills *out
 * and returns 0 also when the backend is not available.
 * Errors: -EINVAL (backend, out, size), -E2BIG.
 */
TG_API int tg_platform_probe(uint32_t backend, tg_probe *out);

/*
 * Opens a backend. opts may be NULL: AUTO and no flags. The platform owns one
 * thread and one stub process, the template that subprocesses are made from;
 * they, and every subprocess, die with the embedder however it ends.
 * Open it before installing a seccomp filter of your own: stubs inherit it.
 * Errors: -EINVAL, -E2BIG, -ENOMEM, -EAGAIN, -EMFILE, -EPERM, -EOPNOTSUPP,
 * -EIO. On an error *out is NULL and opts->message, if there, is written.
 */
TG_API int tg_platform_open(const tg_platform_options *opts, tg_platform **out);

#define TG_CAP_ACCESS_EXACT 0x1 /* FAULT events name the access on the first fault */
#define TG_CAP_SINGLE_STEP  0x2
#define TG_CAP_TRAP_CPUID   0x4  /* TG_OPEN_TRAP_CPUID works on this machine */
#define TG_CAP_TRAP_TSC     0x8  /* TG_OPEN_TRAP_TSC works on this machine */
#define TG_CAP_PATCHING     0x10 /* system call sites are patched */
#define TG_CAP_SYSCALL_ARCH 0x20 /* compat entries are told apart (PTRACE_GET_SYSCALL_INFO) */
#define TG_CAP_VSYSCALL     0x40 /* vsyscall page calls come as SYSCALL events */
#define TG_CAP_ANSWERS      0x80 /* tg_subprocess_answer() has an effect */

#define TG_RESERVED_MAX 4

#define TG_VDSO_NONE 0
#define TG_VDSO_HOST 1 /* the host's */
#define TG_VDSO_OWN  2 /* the library's */

typedef struct tg_range {
    uint64_t start;
    uint64_t end; /* exclusive */
} tg_range;

typedef struct tg_info {
    uint32_t size;         /* in: sizeof(tg_info), at least 4 */
    uint32_t backend;      /* never AUTO */
    uint32_t arch;         /* AUDIT_ARCH_* of native guests */
    uint32_t page_size;    /* bytes */
    uint64_t user_start;   /* lowest address a guest mapping may have */
    uint64_t user_end;     /* exclusive; another one in each platform, see user_end_min */
    uint64_t fpstate_size; /* bytes that tg_context_get_fpstate() writes */
    uint64_t capabilities; /* TG_CAP_* */
    uint32_t reserved_count;
    uint32_t pad;
    tg_range reserved[TG_RESERVED_MAX]; /* inside the above, never available to guests; TG_OPEN_NO_PATCHING: fewer */
    /*
     * What user_end is at least, in every platform of either backend. From
     * 1 MiB to there nothing is ever reserved: a layout of addresses that has to
     * fit into other platforms too, for snapshots or replay, stays in there.
     */
    uint64_t user_end_min;
    uint64_t vdso;      /* its address in every subprocess, for AT_SYSINFO_EHDR; 0: guests have none */
    uint32_t vdso_kind; /* TG_VDSO_* */
    uint32_t vdso_pad;
} tg_info;

/* Facts that do not change while the platform is open. Errors: -EINVAL, -E2BIG. */
TG_API int tg_platform_info(const tg_platform *platform, tg_info *out);

/* Why a system call site is left as it is: indices of tg_stats.patch_refusals. docs/decisions/0013-patch-sites.md. */
#define TG_PATCH_REFUSED_OTHER         0  /* no memory or mapping for the site, a stub that died meanwhile */
#define TG_PATCH_REFUSED_NO_SYSCALL    1  /* the bytes there are no system call any more */
#define TG_PATCH_REFUSED_SIGNAL_RETURN 2  /* rt_sigreturn */
#define TG_PATCH_REFUSED_UNREADABLE    3  /* it depends on bytes that could not be read */
#define TG_PATCH_REFUSED_NO_MOV        4  /* never counted: why what is behind it does not fit says more */
#define TG_PATCH_REFUSED_DECOY         5  /* what looks like that mov can be the end of other instructions */
#define TG_PATCH_REFUSED_PAGE_EDGE     6  /* its bytes lie in two pages */
#define TG_PATCH_REFUSED_UNDECODABLE   7  /* no instruction follows */
#define TG_PATCH_REFUSED_RELATIVE      8  /* a neighbour jumps, calls, traps or uses the instruction pointer */
#define TG_PATCH_REFUSED_MEMORY        9  /* a neighbour uses memory through gs */
#define TG_PATCH_REFUSED_REGISTER      10 /* a neighbour depends on registers that differ behind a patched call */
#define TG_PATCH_REFUSED_UNLISTED      11 /* a neighbour that is not known to be harmless */
#define TG_PATCH_REFUSED_NO_ROOM       12 /* a neighbour starts where the jump has a byte that does not trap */
#define TG_PATCH_REFUSED_MAPPING       13 /* the code is writable, shared, or no file's or memory's of the guest alone */
#define TG_PATCH_REFUSED_FULL          14 /* as many sites as a subprocess can have */
#define TG_PATCH_REFUSED_CHANGES       15 /* code in its page changes so often that it must call more for a look */
/* As many as there will be in tg_stats: what a later version finds besides counts as TG_PATCH_REFUSED_OTHER. */
#define TG_PATCH_REFUSALS              16

#define TG_LATENCY_BUCKETS 32

/* All numbers are counters since opening unless they say "now". What a backend does not have stays 0. */
typedef struct tg_stats {
    uint32_t size; /* in: sizeof(tg_stats), at least 4 */
    uint32_t pad;
    uint64_t subprocesses;   /* alive now */
    uint64_t stub_threads;   /* alive now, in all subprocesses */
    uint64_t contexts;       /* alive now */
    uint64_t switches;       /* times a context was started */
    uint64_t syscalls;       /* SYSCALL events */
    uint64_t faults;         /* FAULT events */
    uint64_t exceptions;     /* EXCEPTION events */
    uint64_t interrupts;     /* INTERRUPTED events */
    uint64_t deaths;         /* subprocesses that died by themselves */
    uint64_t injections;     /* system calls made inside stubs */
    uint64_t fpstate_saves;  /* FP states read from a stub thread */
    uint64_t fpstate_loads;  /* FP states written to a stub thread */
    uint64_t placements;     /* stub threads moved to the processor of the thread that uses them */
    uint64_t releases;       /* stub threads set free because the guest computed */
    uint64_t preemptions;    /* contexts preempted because others waited */
    uint64_t spurious_stops; /* stops that were nobody's event */
    /* systrap: how system calls came in, and where they come from. */
    uint64_t patched_calls;                     /* SYSCALL events that did not enter the host kernel */
    uint64_t unpatched_calls;                   /* all others, on every backend */
    uint64_t patch_sites;                       /* sites that were patched: the two that follow together */
    uint64_t patch_sites_before;                /* the call and the instruction before it */
    uint64_t patch_sites_after;                 /* the call and what is behind it */
    uint64_t patch_refusals[TG_PATCH_REFUSALS]; /* sites left alone, by TG_PATCH_REFUSED_* */
    /* systrap: waiting, on the embedder's side. */
    uint64_t failed_spins; /* times that a thread spun in vain before it slept */
    uint64_t futex_sleeps; /* times that a thread slept for a stub */
    uint64_t futex_wakes;  /* times that a stub thread was woken */
    /* On the stub's side: a guest can write these numbers, so they are hints. */
    uint64_t stub_spins;
    uint64_t stub_sleeps;
    /*
     * With TG_OPEN_LATENCY: from tg_context_switch() or tg_queue_submit() to the
     * event, what the guest computes included. [i]: 2^i to 2^(i+1) - 1 ns; the
     * last one holds all longer ones.
     */
    uint64_t switch_latency[TG_LATENCY_BUCKETS];
    /*
     * The same for the two handoffs of each switch, systrap only: from the start
     * until a stub thread went on with the context, which may first have to get
     * free; and from the moment when that left the event until the embedder's
     * side took it, which for a queue is when somebody waits there. Stops that
     * were nobody's event count too. 0 with TG_OPEN_TRAP_TSC.
     * Stubs note these times where a guest can write: it can make them anything
     * that the two of a switch can be within the time which that took.
     */
    uint64_t resume_latency[TG_LATENCY_BUCKETS];
    uint64_t event_latency[TG_LATENCY_BUCKETS];
    uint64_t worker_copies; /* systrap: times that a stub's thread copied guest memory: tg_context_read() and its like,
                               pieces brought, answers with bytes attached */
    /*
     * systrap: calls that were no events, by tg_subprocess_answer(). The stub
     * counts them where a guest can write: a hint. At most one for each worker
     * and nanosecond of its subprocess's life.
     */
    uint64_t answered_calls;
} tg_stats;

/* Counters since opening; any thread; each is read atomically, not all together. Errors: -EINVAL, -E2BIG. */
TG_API int tg_platform_stats(const tg_platform *platform, tg_stats *out);

/*
 * For how long a side spins before it sleeps: a thread that waits for an event,
 * and one of a stub that waits for the answer. 100 ms at most; 0: the default,
 * 20 us; 1: not at all. Longer for machines with processors to spare, not at all
 * where processor time is dearer than that of a call. Each side spins less than
 * that by itself while it finds nothing so, and of all that one platform has at
 * most half as many threads as there are processors spin at once on either side.
 * Any thread, at any time: who spins just now is not stopped. On ptrace, and with
 * one processor, nobody ever spins.
 * Errors: -EINVAL, -EPERM (a process forked from the opener's).
 */
TG_API int tg_platform_set_spin(tg_platform *platform, uint64_t ns);

/*
 * Adds to a libseccomp filter (scmp_filter_ctx, given as void pointer so that
 * this header needs no other) the rules for every system call that the library
 * makes in the embedder. For embedders that filter themselves: open the
 * platform, build the filter, call this, load it.
 * Errors: -EINVAL, -ENOMEM, -EOPNOTSUPP (built without), -EIO.
 */
TG_API int tg_platform_add_seccomp_rules(const tg_platform *platform, void *scmp_filter_ctx);

/*
 * The sentence for the calling thread's newest failure of any call on the
 * platform or on a handle made from it; "" before the first. What other threads
 * do changes nothing. The text belongs to the calling thread: it stays as it is
 * until 4 more of its calls have failed, on any platform, or until it ends.
 */
TG_API const char *tg_platform_last_error(const tg_platform *platform);

/*
 * Destroys what is left of the platform's queues, contexts and subprocesses,
 * kills and reaps the stubs and joins the thread. Nothing stays behind. No
 * other call may be running or follow on any handle of this platform. NULL is
 * allowed.
 */
TG_API void tg_platform_close(tg_platform *platform);

/* ------------------------------------------------------------------------
 * Subprocess
 */

/*
 * Makes an empty address space. Errors: -EINVAL, -ENOMEM, -EAGAIN, -EMFILE,
 * -EPERM, -EIO. On an error *out is NULL.
 */
TG_API int tg_subprocess_create(tg_platform *platform, tg_subprocess **out);

/*
 * Makes a copy: private pages copy-on-write by the host kernel, shared
 * mappings shared, at the same addresses. Contexts that run in the original
 * meanwhile go on; what they write during the call may or may not be in the
 * copy. Errors: as create, and -ESRCH when the original is dead.
 */
TG_API int tg_subprocess_fork(tg_subprocess *subprocess, tg_subprocess **out);

/*
 * Makes it an empty address space again, as tg_subprocess_create() makes one,
 * with its process and its number: for the next program of a guest, or the next
 * guest. Nothing of what was there can be found or have an effect: memory,
 * answers (tg_subprocess_answer), what calls bring, clocks, patched calls, what
 * the stub knows of contexts, and the stub's threads that have run guests, which
 * are new ones. Descriptors that were mapped are the embedder's as before.
 *
 * Contexts that ran there last keep all their state, and are in use during the
 * call; those that get a new start anyway are best started before it, which
 * saves fetching it. Other threads' calls on the subprocess wait until it is
 * over or make it fail.
 *
 * Errors: -EINVAL; -EPERM after fork(2); -EBUSY while a context runs or is
 * queued there, or has an event from there that nobody has taken, or another
 * thread is in a call on the subprocess or on a context that ran there last:
 * then nothing has changed. -ESRCH when it is dead, and when its guest has
 * spoilt the stub so that it does not answer, which ends it. -ENOMEM, -EAGAIN,
 * -EIO: the host refuses something; it is as it was, or dead
 * (tg_subprocess_pid() is 0).
 */
TG_API int tg_subprocess_reset(tg_subprocess *subprocess);

#define TG_MEM_MAP     1 /* mmap(2), always at the address given */
#define TG_MEM_UNMAP   2 /* munmap(2) */
#define TG_MEM_PROTECT 3 /* mprotect(2) */
#define TG_MEM_ADVISE                                                                                                  \
    4 /* madvise(2): DONTNEED, WILLNEED, FREE, HUGEPAGE, NOHUGEPAGE, REMOVE,                                           \
         POPULATE_READ, POPULATE_WRITE, COLD, PAGEOUT */
/*
 * mremap(2): what is mapped at addr goes to offset with its pages, in the
 * place of what is mapped there, and addr is free. Nothing is copied. All of it
 * is one mapping of the host's: what was mapped by one operation and has the
 * same rights everywhere is, unless advice or patched calls have split it; more
 * than one may be refused with -ENOMEM. The two ranges have nothing in common.
 * After an error what was mapped in the new one may be gone, and the old one is
 * as it was if it is one mapping.
 */
#define TG_MEM_MOVE 5

#define TG_PROT_NONE  0
#define TG_PROT_READ  1
#define TG_PROT_WRITE 2
#define TG_PROT_EXEC  4

#define TG_MAP_SHARED    0x1 /* writes reach the descriptor; without it: private, copy-on-write */
#define TG_MAP_POPULATE  0x2 /* make the pages present now (MAP_POPULATE) */
#define TG_MAP_NORESERVE 0x4 /* MAP_NORESERVE */
#define TG_MAP_NOREPLACE 0x8 /* -EEXIST rather than replace what is there */
#define TG_MAP_FD        0x10 /* fd is meant as it is: needed for descriptor 0, the value of a field that nobody has set */
/*
 * Code, of TG_PROT_EXEC and not TG_PROT_WRITE, whose bytes change through no
 * other mapping of the descriptor while it is mapped: it may be patched, also
 * with TG_MAP_SHARED, which then means what it does without. A guest that maps
 * the same bytes elsewhere to write them finds pages with patched calls
 * unchanged here.
 */
#define TG_MAP_CODE      0x20

typedef struct tg_mem_op {
    uint32_t size;   /* sizeof(tg_mem_op), at least 4; the same in all elements of an array */
    uint32_t kind;   /* TG_MEM_* */
    uint64_t addr;   /* multiple of the page size */
    uint64_t length; /* bytes, more than 0; rounded up to pages */
    uint32_t prot;   /* MAP, PROTECT: TG_PROT_* */
    uint32_t flags;  /* MAP: TG_MAP_*; MOVE: 0 */
    int32_t fd;      /* MAP: a descriptor of the embedder (0 only with TG_MAP_FD), or -1 for zero pages */
    int32_t advice;  /* ADVISE: MADV_* of the host */
    uint64_t offset; /* MAP with a descriptor, MOVE (the new address): multiple of the page size */
} tg_mem_op;

/*
 * Applies n operations in order, in one go where the backend can. All
 * arguments are checked before the first one runs. *done (may be NULL) is the
 * number of operations that took effect; the one behind them is the one that
 * failed. Ranges that reach outside user_start..user_end or into a reserved
 * range of tg_info are refused with -EINVAL. With TG_CAP_PATCHING a file that
 * is mapped to be read and run is also read through fd, without waiting for it:
 * calls that were hot there in others are patched from the start.
 * Errors: -EINVAL, -E2BIG, -ENOMEM (also when patched code in the range cannot
 * get its bytes back, which are then what they were), -ESRCH, -EACCES, -EBADF,
 * -ENODEV, -EEXIST, -EPERM, -EOPNOTSUPP (an advice that the host does not know),
 * -EAGAIN, -EIO.
 */
TG_API int tg_subprocess_apply(tg_subprocess *subprocess, const tg_mem_op *ops, size_t n, size_t *done);

/* One TG_MEM_MAP. fd -1: zero pages; 0 only with TG_MAP_FD. Errors: as apply. */
TG_API int tg_subprocess_map(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot, uint32_t flags,
                             int32_t fd, uint64_t offset);

/* One TG_MEM_UNMAP. Ranges with nothing mapped are fine. Errors: as apply. */
TG_API int tg_subprocess_unmap(tg_subprocess *subprocess, uint64_t addr, uint64_t length);

/* One TG_MEM_PROTECT. Errors: as apply. */
TG_API int tg_subprocess_protect(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot);

/*
 * Copies guest memory: process_vm_readv(2) and process_vm_writev(2), which
 * respect the protections of the guest's own mappings. *done (may be NULL)
 * is how many bytes were copied, exact to the byte up to the first page that
 * cannot be accessed; the result is 0 when that is all of them and -EFAULT
 * when it is not. The copy is not atomic: a guest thread that runs may change
 * the memory meanwhile. Read a thing once, then check it. Code reads as the
 * guest wrote it, whatever calls in it are patched. What is written may come
 * from a file that the embedder has mapped: a page that is not there because
 * others have cut the file short ends the copy with -EFAULT, and raises no
 * signal.
 * Errors: -EINVAL, -EFAULT, -ESRCH, -EPERM, -ENOMEM, and where the host
 * forbids those two calls -EMFILE.
 */
TG_API int tg_subprocess_read(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done);
TG_API int tg_subprocess_write(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length,
                               size_t *done);

#define TG_BRING_BYTES   1 /* max bytes at argument arg */
#define TG_BRING_COUNTED 2 /* as many as argument length_arg says, at most max */
#define TG_BRING_STRING  3 /* a string: up to its 0 byte, at most max */

#define TG_BRING_CALLS  512  /* numbers of calls are below */
#define TG_BRING_PIECES 2    /* that a call can bring */
#define TG_BRING_MAX    4096 /* bytes, of all pieces of a call */

/* A piece of guest memory that a system call brings along. */
typedef struct tg_bring {
    uint32_t size;       /* sizeof(tg_bring), at least 4; the same in all elements of an array */
    uint32_t kind;       /* TG_BRING_* */
    uint64_t nr;         /* of the call, in the native table */
    uint32_t arg;        /* 0 to 5: the argument that is its address */
    uint32_t length_arg; /* COUNTED: the argument that is its length; else 0 */
    uint32_t max;        /* bytes, 1 to TG_BRING_MAX */
    uint32_t flags;      /* 0 */
} tg_bring;

/*
 * Declares what the subprocess's calls bring along, in place of all that was
 * declared before; n may be 0. A call's pieces are numbered as they stand in
 * the array. tg_context_brought() gives them. A fork inherits them. Calls whose
 * event was there already bring what was declared when the first of their
 * pieces was asked for.
 * Errors: -EINVAL, -E2BIG, -ENOMEM, -ESRCH (the subprocess is being destroyed).
 */
TG_API int tg_subprocess_set_brings(tg_subprocess *subprocess, const tg_bring *pieces, size_t n);

#define TG_ANSWER_NONE         0 /* an event, as each call at first; value is not looked at */
#define TG_ANSWER_VALUE        1 /* the value */
#define TG_ANSWER_CONTEXT_WORD 2 /* the word with this index of the context that makes the call */

#define TG_ANSWER_CALLS  512 /* calls with lower numbers can be answered */
#define TG_CONTEXT_WORDS 8

/*
 * System calls of the guest with this number, of the native table, need not
 * become events: their result is known beforehand, whatever their arguments,
 * and the guest goes on with it at once. It may be changed at any time, by any
 * thread, in one store: what a thread of the guest calls after that has the new
 * answer. A copy of the subprocess begins with the same answers. Guests cannot
 * write them.
 *
 * The event remains what a handler must be there for: only patched calls are
 * answered so (TG_CAP_ANSWERS, TG_FLAG_PATCHED), so each site makes some events
 * first, and some always do. Calls that the guest steps through are events too.
 * A guest that makes nothing but such calls leaves no event, as one that
 * computes: tg_context_interrupt() reaches it.
 * Accepted and without effect where TG_CAP_ANSWERS is not set.
 * Errors: -EINVAL (nr, kind, the index of a word), -ESRCH, -EPERM.
 */
TG_API int tg_subprocess_answer(tg_subprocess *subprocess, uint32_t nr, uint32_t kind, uint64_t value);

/*
 * The process id of the stub, for operators and tests (ps, /proc). Do not
 * signal or trace it. Returns 0 when the subprocess is dead.
 */
TG_API int32_t tg_subprocess_pid(const tg_subprocess *subprocess);

/*
 * Kills the stub process and reaps it before it returns. On systrap one that
 * has not ended after ten seconds, because its cgroup is frozen, is reaped when
 * it does; on ptrace this waits until then. A switch that runs in it returns a
 * DEAD event first; contexts stay usable elsewhere. NULL is allowed.
 */
TG_API void tg_subprocess_destroy(tg_subprocess *subprocess);

/* ------------------------------------------------------------------------
 * Clocks of guests, where the vDSO is the library's: TG_OPEN_VDSO_OWN
 */

#define TG_CLOCKS 16 /* a clock's number, CLOCK_* of the guest, is below; not CLOCK_PROCESS_CPUTIME_ID and _THREAD_ */

#define TG_CLOCK_CALL 0 /* guests make the call, as at first; only clock is looked at besides */
/*
 * Guests read base_ns + (counter - base_counter) * multiplier / 2^32: ns since the clock's epoch, and base_ns while the
 * counter is below base_counter. A multiplier of 0 is a clock that stands still; then the counter is not read.
 */
#define TG_CLOCK_TIME 1

/*
 * With TIME: by this change it does not go back for any thread of the guest. If the new time is behind what guests
 * could read before, it stands still until that is over.
 */
#define TG_CLOCK_FORWARD 0x1

/* What a clock of a guest shows. */
typedef struct tg_clock {
    uint32_t size;         /* sizeof(tg_clock), at least 4; the same in all elements of an array */
    uint32_t clock;        /* CLOCK_REALTIME (0), CLOCK_MONOTONIC (1), ... */
    uint32_t kind;         /* TG_CLOCK_CALL, TG_CLOCK_TIME */
    uint32_t flags;        /* TG_CLOCK_FORWARD */
    uint64_t base_counter; /* of tg_platform_counter() */
    uint64_t base_ns;
    uint64_t multiplier; /* ns for each tick of the counter, in 2^-32 */
} tg_clock;

/*
 * Sets these clocks of the subprocess, one after the other, and leaves all
 * others as they are. Of one clock in an array twice the last counts. A guest
 * that reads meanwhile gets the old time or the new one, never a mixture. A copy
 * of the subprocess begins with the clocks as they are then; a new one makes
 * calls. gettimeofday(2) and time(2) go by CLOCK_REALTIME; what is not in the
 * vDSO (clock_getres(2), getcpu(2)) is a call. Any thread, whatever runs in the
 * subprocess; waits for nobody but other threads in this function, and takes
 * some ten nanoseconds for a clock.
 * Errors: -EINVAL (also an unknown clock, kind or flag), -E2BIG, -ENOMEM, -ESRCH,
 * -EPERM, -EOPNOTSUPP (tg_info.vdso_kind is not TG_VDSO_OWN, or a multiplier is
 * not 0 where guests or the embedder cannot read the counter: TG_OPEN_TRAP_TSC).
 */
TG_API int tg_subprocess_set_clocks(tg_subprocess *subprocess, const tg_clock *clocks, size_t n);

/*
 * The clock as it was set last, and in *ns what guests read at this moment, in
 * step with them to the tick: what to answer calls with that look at the same
 * clock, so that time goes back for nobody. out->kind TG_CLOCK_CALL: they make
 * calls, and *ns is 0. ns may be NULL. Any thread.
 * Errors: as tg_subprocess_set_clocks().
 */
TG_API int tg_subprocess_clock(tg_subprocess *subprocess, uint32_t clock, tg_clock *out, uint64_t *ns);

/*
 * The counter that guests' clocks go by (the time stamp counter), now; 0 where
 * this process cannot read it, or the platform has no vDSO of the library's
 * own. Any thread.
 */
TG_API uint64_t tg_platform_counter(const tg_platform *platform);

/* A clock of the host's that a guest's follows: the state of tg_platform_follow_clock(), zeros at first but for two. */
typedef struct tg_host_clock {
    uint32_t size;       /* in: sizeof(tg_host_clock), at least 4 */
    uint32_t clock;      /* in: CLOCK_REALTIME (0), CLOCK_MONOTONIC (1), ... of the host */
    uint64_t counter;    /* when it was looked at last; 0: it was not */
    uint64_t ns;         /* what it showed */
    uint64_t slope;      /* how fast it went, as tg_clock.multiplier; 0: not known yet */
    uint64_t guest_ns;   /* what guests saw at that moment */
    uint64_t multiplier; /* what was given out for them */
    uint64_t error_ns;   /* how far guests were off then, before this was put right */
} tg_host_clock;

/*
 * One look at a clock of the host's, and what makes a guest's follow it: *out
 * is for tg_subprocess_set_clocks(), as it is or with base_ns moved, in any
 * number of subprocesses. To be called again and again, in intervals of about
 * the same length or at most twice the one before (first a millisecond or more
 * apart; one second is usual): what guests see is then right at the end of the
 * next interval, tens of nanoseconds off in between, and further the longer
 * nobody calls. It never goes back, and is never corrected by a jump, but for
 * CLOCK_REALTIME and CLOCK_TAI when they were set anew or are off by more than a
 * microsecond. *out is TG_CLOCK_CALL after the first call, where the counter is
 * not to be relied on, and where it has not kept step with the host's clock
 * since the last one. No thread and no memory of the library's: the state is the
 * caller's, one thread at a time.
 * Errors: -EINVAL (also a clock that the host does not have), -E2BIG.
 */
TG_API int tg_platform_follow_clock(const tg_platform *platform, tg_host_clock *host, tg_clock *out);

/* ------------------------------------------------------------------------
 * Context
 */

/*
 * Makes the state of one guest thread: general registers zero apart from what
 * user mode needs, FP state as after execve(2). Errors: -EINVAL, -ENOMEM.
 */
TG_API int tg_context_create(tg_platform *platform, tg_context **out);

/* Back to the state of a new context, then sets instruction and stack pointer. Errors: -EINVAL, -EBUSY. */
TG_API int tg_context_start(tg_context *context, uint64_t ip, uint64_t sp);

/* Copies registers, thread-local storage and FP state: for fork and clone. Errors: -EINVAL, -EBUSY. */
TG_API int tg_context_copy(tg_context *to, const tg_context *from);

/*
 * For a context that only one thread switches (or one queue that one thread
 * waits on): its FP state then stays in the stub between switches, which saves
 * the ptrace backend a copy at every event. While it does, another thread that
 * switches, copies or reads the FP state gets -EBUSY; it becomes free when the
 * first thread reads the FP state, clears the flag, or ends. On systrap the
 * flag changes nothing: FP state always stays, and any thread may have it.
 */
#define TG_CONTEXT_ONE_THREAD 0x1

/* Sets all flags at once. Errors: -EINVAL (unknown flag), -EBUSY. */
TG_API int tg_context_set_flags(tg_context *context, uint32_t flags);

/* A number of the embedder's that comes back in every event of the context; 0 at first. */
TG_API int tg_context_set_user_data(tg_context *context, uint64_t user_data);
TG_API uint64_t tg_context_user_data(const tg_context *context);

/*
 * The general registers as of the last event. The memory is the context's own
 * and never shared with the guest; valid until the context is destroyed, to be
 * read only while the context is not running, by several threads at once if
 * need be. NULL for NULL.
 */
TG_API const tg_regs *tg_context_regs(const tg_context *context);

/* The same for writing: the next switch takes what is in there. NULL while the context is running. */
TG_API tg_regs *tg_context_regs_mut(tg_context *context);

/*
 * FP, vector and mask registers in the layout of the kernel's NT_X86_XSTATE
 * (x86-64) or NT_PRFPREG (AArch64) register set: tg_info.fpstate_size bytes.
 * get writes them to buffer; set checks them first and changes nothing when
 * the processor would refuse them.
 * Errors: -EINVAL (a capacity below or a length other than fpstate_size, a
 * state the processor refuses), -EBUSY.
 */
TG_API int tg_context_get_fpstate(tg_context *context, void *buffer, size_t capacity);
TG_API int tg_context_set_fpstate(tg_context *context, const void *buffer, size_t length);

/*
 * The thread-local storage register: fs_base or tpidr_el0.
 * Errors: -EINVAL (an address that a guest cannot have), -EBUSY.
 */
TG_API int tg_context_get_tls(const tg_context *context, uint64_t *out);
TG_API int tg_context_set_tls(tg_context *context, uint64_t tls);

/*
 * As tg_subprocess_read() and tg_subprocess_write(), for a context that is at
 * rest, in the subprocess where it ran last or in another: what a call of its
 * points to is copied sooner. On systrap the thread of the stub that waits for
 * the answer to a patched call copies up to 4 KiB where that has cost less on
 * this machine; everything else, and the ptrace backend, does what those two
 * do. Memory that never comes (of a file server that does not answer) costs the
 * subprocess its life after some seconds.
 * Errors: those of the two, -EBUSY (the context runs), -EINVAL also for a
 * subprocess of another platform.
 */
TG_API int tg_context_read(tg_context *context, tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length,
                           size_t *done);
TG_API int tg_context_write(tg_context *context, tg_subprocess *subprocess, uint64_t addr, const void *buffer,
                            size_t length, size_t *done);

/*
 * Reads a string: bytes up to the first 0, which are then in the buffer with
 * it, and *length is how many are in front of it. *length == capacity: there is
 * no 0 among so many bytes. Reads nothing of a page behind the one that the 0
 * byte is in. -EFAULT: before a 0 byte there is one that cannot be read, and
 * *length says where. Otherwise as tg_context_read().
 */
TG_API int tg_context_read_string(tg_context *context, tg_subprocess *subprocess, uint64_t addr, char *buffer,
                                  size_t capacity, size_t *length);

#define TG_TRANSFER_READ   1 /* length bytes at addr to buffer */
#define TG_TRANSFER_WRITE  2 /* length bytes at buffer to addr */
#define TG_TRANSFER_STRING 3 /* as tg_context_read_string(): length is what buffer holds */

#define TG_TRANSFER_PIECES 1024 /* that can be moved in one go */

/* A piece of guest memory that is read or written beside others. */
typedef struct tg_transfer {
    uint32_t size;   /* sizeof(tg_transfer), at least 4; the same in all elements of an array */
    uint32_t kind;   /* TG_TRANSFER_* */
    uint64_t addr;   /* in the guest */
    void *buffer;    /* the embedder's; only read for WRITE */
    uint64_t length; /* bytes; 0 touches nothing */
    uint64_t done;   /* out: how many were moved; STRING: how many are in front of the 0 */
} tg_transfer;

/*
 * Does for each of n pieces what tg_context_read(), tg_context_write() or
 * tg_context_read_string() does, in their order, in one go where the backend
 * can: what a piece writes the pieces behind it read. It ends at the first byte
 * that cannot be moved, with -EFAULT: done of that piece says where, exact to
 * the byte, and is 0 in all pieces behind it, of which nothing is written to the
 * guest. What a buffer holds behind what was read into it is not said. Such a
 * buffer overlaps no other and not the array. n may be 0.
 * On systrap the thread of the stub that waits for the answer to a patched call
 * moves up to 8 pieces of up to 4 KiB in all by one handoff where that has cost
 * less; else one process_vm_readv(2) serves pieces to be read that stand side by
 * side, one process_vm_writev(2) those to be written, up to 128 each.
 * Errors: those of tg_context_read() and -E2BIG; -EINVAL also for an unknown
 * kind, a buffer that is NULL with a length, more than TG_TRANSFER_PIECES. done
 * is set with 0 and -EFAULT.
 */
TG_API int tg_context_transfer(tg_context *context, tg_subprocess *subprocess, tg_transfer *pieces, size_t n);

/*
 * What the system call of the context's last event, made in that subprocess,
 * has brought along: the library's own copy of the piece with that number of
 * those declared for the call (tg_subprocess_set_brings()), made once: what is
 * checked is what is used. *bytes is valid until the context runs again or is
 * destroyed, and the same until then; behind the *length bytes is a 0. On
 * systrap patched calls bring their pieces with the event; elsewhere the first
 * who asks reads them, and then they are what the memory holds at that moment.
 *   BYTES, COUNTED  *length is less than was asked for where memory ends
 *   STRING          *length is how many bytes are in front of the 0, and max
 *                   where there is no 0 among so many
 * Errors: -EFAULT (nothing can be read, or no 0 byte before memory ends),
 * -EINVAL (also when the last event was not a SYSCALL, or no such piece is
 * declared), -EBUSY, -ENOMEM, and those of tg_context_read(). On an error *bytes
 * is NULL and *length 0.
 */
TG_API int tg_context_brought(tg_context *context, tg_subprocess *subprocess, uint32_t piece, const void **bytes,
                              size_t *length);

#define TG_ATTACH_PIECES 8    /* that an answer can have attached */
#define TG_ATTACH_MAX    4096 /* bytes, in all */

/*
 * Attaches bytes to the answer to the context's system call, which are copied
 * at once: when the context is switched or submitted next, they are in the
 * memory of the subprocess where it runs then, at addr, before it goes on, and
 * at no earlier moment: until then copies of guest memory, forks and other
 * guest threads do not see them. Pieces are written in the order of the calls.
 * Where memory refuses a byte, those in front of it are written and no more,
 * and the call's result is -EFAULT in place of what was set. On systrap the
 * thread of the stub that waits for the answer to a patched call writes them;
 * elsewhere the library does.
 * They are dropped by tg_context_start(), tg_context_copy() to the context,
 * tg_context_restart_syscall(), a DEAD event, and with the context. An error of
 * the switch or the submit leaves them attached.
 * Errors: -EINVAL (also when the last event was not a SYSCALL; more than
 * TG_ATTACH_PIECES or TG_ATTACH_MAX: use tg_context_write()), -EBUSY, -ENOMEM.
 */
TG_API int tg_context_attach(tg_context *context, uint64_t addr, const void *bytes, size_t length);

/*
 * Sets the result of the system call that the context came back with, or the
 * one that it was copied from. Any value passes as it is: the kernel's restart
 * codes have no meaning here. Errors: -EINVAL when the last event was not a
 * SYSCALL, the call is to be raised once more or the context was started since;
 * -EBUSY.
 */
TG_API int tg_context_set_return(tg_context *context, int64_t value);

/*
 * A word for TG_ANSWER_CONTEXT_WORD, 0 at first: the context's own, wherever it
 * runs, until it is destroyed. Any thread, also while it runs: what its guest
 * calls after that is answered with the new value. Copies do not have it.
 * Errors: -EINVAL (index), -EPERM.
 */
TG_API int tg_context_set_word(tg_context *context, uint32_t index, uint64_t value);

/*
 * Makes the next switch raise the system call of the last event once more,
 * with the registers it had; right on patched sites too. Errors: -EINVAL when
 * the last event was not a SYSCALL or the registers were changed to another
 * place since, -EBUSY.
 */
TG_API int tg_context_restart_syscall(tg_context *context);

/* ------------------------------------------------------------------------
 * Events
 */

#define TG_EVENT_SYSCALL     1 /* the guest made a system call */
#define TG_EVENT_FAULT       2 /* the guest touched memory it cannot: SIGSEGV or SIGBUS with an address */
#define TG_EVENT_EXCEPTION   3 /* any other signal the processor raised: SIGILL, SIGFPE, SIGTRAP, ... */
#define TG_EVENT_INTERRUPTED 4 /* tg_context_interrupt() was called */
#define TG_EVENT_DEAD        5 /* the subprocess is gone; its contexts can run elsewhere */

#define TG_FLAG_INTERRUPT_PENDING 0x1  /* an interrupt came too; the next switch returns INTERRUPTED */
#define TG_FLAG_PATCHED           0x2  /* SYSCALL: came through a patched site */
#define TG_FLAG_PATCHABLE         0x4  /* SYSCALL: the site may be patched later */
#define TG_FLAG_COMPAT            0x8  /* SYSCALL: int 0x80 or sysenter; arch says which table nr belongs to */
#define TG_FLAG_X32               0x10 /* SYSCALL: an x32 call; nr has __X32_SYSCALL_BIT set */
#define TG_FLAG_VSYSCALL          0x20 /* SYSCALL: a call into the vsyscall page; ip is where that has returned to */
#define TG_FLAG_TRAP              0x40 /* FAULT, EXCEPTION: trap and error_code are set; else both are 0 */
#define TG_FLAG_TRAP_DERIVED      0x80 /* besides it: they follow from the signal, nobody has reported them */

typedef struct tg_event_syscall {
    uint64_t nr;
    uint64_t args[6];
    uint64_t ip; /* behind the system call instruction */
} tg_event_syscall;

#define TG_ACCESS_READ  1
#define TG_ACCESS_WRITE 2 /* read-modify-write instructions count as writes */
#define TG_ACCESS_EXEC  4
/* 0: the instruction could not be read or decoded; treat as a read */

/*
 * trap and error_code are what a signal frame of the host has: on x86-64 the
 * number of the exception (14: page fault) and its error code, REG_TRAPNO and
 * REG_ERR. systrap gives what the kernel reported. ptrace does not show them,
 * so there they are worked out from the signal, the access and the instruction
 * (TG_FLAG_TRAP_DERIVED). Then these can differ from what was reported:
 *   page fault           bit 0 is set for each page that can be read, also when
 *                        it was not present yet
 *   general protection   the code is 0 but for the int instruction, also where a
 *                        segment was loaded; int $4 counts as 13
 *   stack segment        SIGBUS with SI_KERNEL is 12, never 11
 */

typedef struct tg_event_fault {
    uint64_t addr; /* as the processor reported it: exact to the byte for SIGSEGV */
    uint64_t ip;
    uint32_t access; /* TG_ACCESS_* */
    int32_t signo;   /* SIGSEGV or SIGBUS */
    int32_t code;    /* SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, ... */
    uint32_t trap;   /* with TG_FLAG_TRAP */
    uint64_t error_code;
} tg_event_fault;

typedef struct tg_event_exception {
    uint64_t addr; /* si_addr where the signal has one, else 0 */
    uint64_t ip;
    int32_t signo;
    int32_t code;       /* si_code */
    int32_t trap_errno; /* si_errno */
    uint32_t trap;      /* with TG_FLAG_TRAP */
    uint64_t error_code;
} tg_event_exception;

#define TG_DEAD_KILLED    1 /* a signal ended the stub: status is its number */
#define TG_DEAD_EXITED    2 /* the stub exited: status is its code */
#define TG_DEAD_DESTROYED 3 /* tg_subprocess_destroy() */
#define TG_DEAD_CORRUPT   4 /* the stub broke the protocol; the library killed it */

typedef struct tg_event_dead {
    int32_t reason; /* TG_DEAD_* */
    int32_t status;
} tg_event_dead;

typedef union tg_event_data {
    tg_event_syscall syscall;
    tg_event_fault fault;
    tg_event_exception exception;
    tg_event_dead dead;
    uint64_t reserved[16];
} tg_event_data;

typedef struct tg_event {
    uint32_t size;       /* in: sizeof(tg_event), at least 32 */
    uint32_t kind;       /* TG_EVENT_*; treat one you do not know as DEAD */
    uint32_t flags;      /* TG_FLAG_* */
    uint32_t arch;       /* SYSCALL: AUDIT_ARCH_* of the entry used; otherwise the native one */
    tg_context *context; /* whose event this is */
    uint64_t user_data;  /* tg_context_set_user_data() */
    tg_event_data u;
} tg_event;

/*
 * Runs the context in the subprocess on the calling thread's behalf until an
 * event, and writes it. The calling thread sleeps meanwhile.
 * Errors: -EINVAL (a handle of another platform, registers that the processor
 * refuses), -E2BIG, -EBUSY (the context runs elsewhere), -ENOMEM, -EAGAIN,
 * -EPERM, -EIO. After an error the context is as it was.
 */
TG_API int tg_context_switch(tg_context *context, tg_subprocess *subprocess, tg_event *event);

#define TG_EXCHANGE_NOTHING 0 /* the context goes on as it is; regs is only written */
#define TG_EXCHANGE_RETURN  1 /* the call returns what regs has in the register of a result: tg_context_set_return() */
#define TG_EXCHANGE_ALL     2 /* the context goes on with what is in regs, as tg_context_regs_mut() sets it */

/*
 * A switch that takes registers in and gives them out, in one call, for
 * embedders that keep them in memory of their own: puts in what the caller has
 * changed since the last event (TG_EXCHANGE_*), does what tg_context_switch()
 * does, and writes the registers of the event, whatever that is, to *regs. Its
 * size is set by the caller and stays; its arch is only written. Registers that
 * are as the last call gave them are not written to the guest again, with
 * TG_EXCHANGE_ALL neither. FP state is not touched.
 * Errors: those of tg_context_switch(); -EINVAL also for another what, for regs
 * that the processor refuses, and for TG_EXCHANGE_RETURN where
 * tg_context_set_return() is -EINVAL. After an error nothing has run, *regs and
 * *event are as they were, and the same call can be made again. After bad
 * arguments and -EBUSY of a context that runs elsewhere nothing has changed;
 * after other errors what was to be put in may be in.
 */
TG_API int tg_context_exchange(tg_context *context, tg_subprocess *subprocess, tg_regs *regs, uint32_t what,
                               tg_event *event);

/*
 * Makes the switch that runs now, or else the next one, return INTERRUPTED
 * with the registers of where the guest was. Several calls before that count
 * as one. When the switch meets another event first, that one is returned with
 * TG_FLAG_INTERRUPT_PENDING, and the next switch returns INTERRUPTED at once.
 * Any thread and any signal handler; never blocks. Errors: -EINVAL.
 */
TG_API int tg_context_interrupt(tg_context *context);

/* Frees the context. It must not be running (a queue's context: wait for its event first). NULL is allowed. */
TG_API void tg_context_destroy(tg_context *context);

/* ------------------------------------------------------------------------
 * Queue: one thread drives many contexts
 */

/* Errors: -EINVAL, -ENOMEM. */
TG_API int tg_queue_create(tg_platform *platform, tg_queue **out);

/*
 * Starts the context in the subprocess and returns. Its event comes out of
 * tg_queue_wait(), exactly one for each submit. Any thread.
 * Errors: -EINVAL (as tg_context_switch()), -EBUSY (the context runs), -ESRCH
 * (the subprocess is being destroyed), -ENOMEM, -EAGAIN (systrap: the subprocess
 * has room for the state of no other context), -EPERM, -EIO. After an error the
 * context is as it was, and no event comes.
 */
TG_API int tg_queue_submit(tg_queue *queue, tg_context *context, tg_subprocess *subprocess);

/*
 * For runtimes that have a thread at hand for each call, but not for each
 * context: a switch as long as that is short. Runs the context in the
 * subprocess, and the calling thread looks for its event for about spin_ns
 * (at most 100 ms; 0: it does not spin).
 * Returns 0: the event is written, as by tg_context_switch().
 * Returns 1: the context goes on running, and is the queue's, as after
 * tg_queue_submit(): nothing is written to event, and its event comes out of
 * tg_queue_wait(), perhaps before this returns. 1 may come before spin_ns has
 * passed: no more threads of a platform spin at once than it has processors
 * for, and none where spinning has been futile. Where no memory is left for
 * the queue it sleeps until there is an event, and returns 0.
 * On ptrace a running context cannot change hands: it is submitted at once,
 * and 1 is what it mostly returns there.
 * The queue must not be destroyed before this has returned. Any thread.
 * Errors: as tg_context_switch(). After an error the context is as it was, and
 * no event comes.
 */
TG_API int tg_context_switch_or_submit(tg_context *context, tg_subprocess *subprocess, tg_queue *queue,
                                       uint64_t spin_ns, tg_event *event);

/*
 * Waits for events and writes up to capacity of them; *count says how many.
 * timeout_ns: negative waits for ever, 0 only looks. Returns 0 with *count 0
 * when the time is over or after tg_queue_wake(). It also waits when nothing
 * is submitted: another thread may still submit. Subprocesses that have events
 * share the room; what finds none comes first in a later wait.
 * One thread at a time: -EBUSY otherwise. On ptrace the waiting thread is the
 * tracer of what it started; when another thread takes over while contexts
 * run, that is -EBUSY too, unless tg_queue_fd() was called before.
 * Errors: -EINVAL, -E2BIG, -EBUSY, -ENOMEM, -EAGAIN, -EPERM, -EIO.
 */
TG_API int tg_queue_wait(tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout_ns, size_t *count);

/* Makes the wait that runs now, or else the next one, return. Any thread, any signal handler. Errors: -EINVAL. */
TG_API int tg_queue_wake(tg_queue *queue);

/*
 * A descriptor that is readable while events wait: for epoll, tokio, Go. Owned
 * by the queue. Do not read it: call tg_queue_wait() with timeout 0 until it
 * gives nothing. From the first call on, a thread of the library does the
 * waiting, so that any thread may call tg_queue_wait(); this adds a thread
 * hand-over to every event.
 * Errors: -EINVAL, -EMFILE, -ENOMEM, -EAGAIN, -EPERM (the host refuses
 * eventfd2(2) or another thread), -EBUSY (a thread waits on the queue; ptrace
 * only: contexts run already).
 */
TG_API int tg_queue_fd(tg_queue *queue);

/*
 * Stops the contexts that still run; they can be used again. On ptrace only
 * the thread that waited last can stop them: when another one destroys the
 * queue, the subprocesses in which contexts still run are killed. Events that
 * nobody has fetched are gone; when its context runs again a system call is
 * made again, the instruction of a fault runs again, and an interrupt is
 * pending, but a breakpoint or a step has passed. NULL is allowed.
 */
TG_API void tg_queue_destroy(tg_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
