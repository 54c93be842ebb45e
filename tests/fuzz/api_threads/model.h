/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the fuzzer knows of the library: which handles there are, who is in a
 * call on each, and so which calls docs/threading.md allows at this moment.
 * Everything that it allows happens at once; nothing else does.
 */
#ifndef TESTS_FUZZ_API_THREADS_MODEL_H
#define TESTS_FUZZ_API_THREADS_MODEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#define PLATFORMS    4 /* of both backends in turns */
#define SUBPROCESSES 4
#define CONTEXTS     12
#define QUEUES       3
#define THREADS      6
#define STATE_MAX    16384

/* Under it platforms live as long as the program: opening one copies the process, the sanitizer's locks included. */
#if defined(__SANITIZE_THREAD__)
#define PLATFORMS_STAY true
#else
#define PLATFORMS_STAY false
#endif

/* How a call uses a handle. */
enum mode {
    PROD,  /* at any time: interrupt, wake, and what signals a stub */
    READ,  /* beside others that read */
    TAKE,  /* beside others that take: one of them may get -EBUSY */
    ALONE, /* beside nothing but PROD */
    MODES,
};

struct handle {
    pthread_mutex_t lock;
    void *_Atomic object; /* of the library; NULL: there is none. Changes with lock */
    unsigned int in[MODES];
    bool ending; /* nobody but PROD may come in any more */
    bool ended;  /* nobody */
};

struct subprocess {
    struct handle handle;
    atomic_bool stopped;
};

enum guest_kind { GUEST_COUNTS, GUEST_SPINS, GUEST_OTHER };

struct context {
    struct handle handle;
    atomic_int kind;        /* enum guest_kind */
    atomic_bool one_thread; /* TG_CONTEXT_ONE_THREAD was ever set */
    _Atomic uint64_t next;  /* GUEST_COUNTS: what its next call must say; 0: not known */
    uint64_t number;        /* of its word in the shared page */
};

struct queue {
    struct handle handle;
    atomic_int inside[CONTEXTS]; /* submitted, and the event not taken */
};

struct platform {
    struct handle handle;
    uint32_t backend;
    tg_info info;
    struct subprocess subprocesses[SUBPROCESSES];
    struct context contexts[CONTEXTS];
    struct queue queues[QUEUES];
};

struct thread {
    pthread_t id;
    unsigned int index;
    uint64_t random;
    uint64_t calls;
    unsigned char state[STATE_MAX];
    /* For the watchdog. */
    const char *_Atomic doing;
    _Atomic int64_t since;
    /* In tg_context_switch() with a guest that spins; the subprocess's lock. */
    const struct handle *_Atomic spins_in;
    uint64_t word;
    uint64_t word_before;
};

extern struct platform platforms[PLATFORMS];
extern struct thread threads[THREADS + 1];
#define PRODDER (&threads[THREADS]) /* prod_main() */
extern atomic_bool stopping;

void model_init(void);

/* False: that is not allowed now, or there is no such object. */
bool handle_use(struct handle *handle, enum mode mode);
void handle_leave(struct handle *handle, enum mode mode);
/* False: it exists, or somebody else makes it. Then the object is the caller's to make: handle_made(). */
bool handle_reserve(struct handle *handle);
/* NULL: it could not be made. */
void handle_made(struct handle *handle, void *object);
/* Waits until the last call on the object may be made; false: somebody else does. handle_gone() follows. */
bool handle_end(struct handle *handle);
/* Waits for the calls that the end has ended. */
void handle_gone(struct handle *handle);

/* For handle_end(): from when the guest has changed its word, the thread is inside of its switch. */
void spinner_enters(struct thread *thread, struct handle *subprocess, uint64_t word);
void spinner_leaves(struct thread *thread, struct handle *subprocess);

/* Somebody has submitted it, and its event may not be taken yet. */
bool is_submitted(const struct platform *platform, const struct context *context);

/* ---- rest ---- */

void rest_init(void);
/* Around each call, and around each round of prods: over before it, and not behind it. */
void rest_from_calls(bool over);
void rest_from_prods(bool over);
/* False: somebody is in a call still. */
bool rest_begins(void);
/* All threads but the caller's sleep, and not just for a moment. */
bool rest_is_quiet(void);
void rest_ends(void);

/* ---- what a thread does ---- */

uint64_t random_below(struct thread *thread, uint64_t limit);

/* Names the call that follows for the watchdog, and what came of it after it. */
void call_begins(struct thread *thread, const char *text);
void call_ends(struct thread *thread);
/* A result that the header does not name for this call ends the program; allowed ends with 0. */
void check_allowed(const struct platform *platform, const char *text, int result, const int *allowed);
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CALL(thread, call)                                                                                             \
    __extension__({                                                                                                    \
        call_begins((thread), #call);                                                                                  \
        __typeof__(call) call_result = (call);                                                                         \
        call_ends(thread);                                                                                             \
        call_result;                                                                                                   \
    })
#define CALL_VOID(thread, call)                                                                                        \
    do {                                                                                                               \
        call_begins((thread), #call);                                                                                  \
        (call);                                                                                                        \
        call_ends(thread);                                                                                             \
    } while (0)
/* 0 and the errors named are right. */
#define RESULT(thread, platform, call, ...)                                                                            \
    __extension__({                                                                                                    \
        int checked_result = CALL((thread), (call));                                                                   \
        check_allowed((platform), #call, checked_result, (const int[]){__VA_ARGS__ __VA_OPT__(, ) 0});                 \
        checked_result;                                                                                                \
    })

/* ---- guests.c ---- */

void guests_init(void);
/* Code, a stack, the shared words. 0 or what the library said. */
int guests_load(tg_subprocess *subprocess);
uint64_t guests_word(uint64_t number);
/* Where the guest's word is, and an instruction pointer of a guest of the kind. */
uint64_t guests_word_address(uint64_t number);
uint64_t guests_code(struct thread *thread, enum guest_kind kind);
extern const uint64_t guests_code_at, guests_code_size, guests_arena_at, guests_arena_size, guests_stack_top;

/* ---- random calls, each on handles of its own choice ---- */

struct random_call {
    unsigned int weight;
    void (*make)(struct thread *thread, struct platform *platform);
};

extern const struct random_call platform_calls[], subprocess_calls[], context_calls[], queue_calls[]; /* end with 0 */

/* One call, of any kind, on any platform. */
void make_random_call(struct thread *thread);
/* At the beginning and after a close. */
void open_platform_in(struct thread *thread, struct platform *platform);
void close_platform_of(struct thread *thread, struct platform *platform);
/* A signal to the stub; never to a process that has its number after it. */
void signal_stub(struct subprocess *subprocess, int signal);
/* Interrupts, wakes and continues what could keep a call for ever. */
void *prod_main(void *arg);

#endif
