/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The futex call itself: results, deadlines, sets of bits, and moving waiters. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static unsigned word, other_word;
static int woken;

static long futex(unsigned *addr, int op, unsigned value, const void *timeout, void *second, unsigned third)
{
    return syscall(SYS_futex, addr, op, value, timeout, second, third);
}

static void *wait_on_word(void *bits)
{
    if (futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, (unsigned)(long)bits) == 0)
        __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Wakes until the number asked for has been woken: a thread needs time to begin to wait. */
static long wake_exactly(unsigned *addr, int op, unsigned count, unsigned bits)
{
    long done = 0;

    while (done < count) {
        done += futex(addr, op, count - (unsigned)done, NULL, NULL, bits);
        usleep(1000);
    }
    return done;
}

static void check_results(void)
{
    struct timespec short_time = {.tv_nsec = 2000000}, wrong_time = {.tv_nsec = -1}, past = {.tv_sec = 1};

    REPORT(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
    REPORT(futex(&word, FUTEX_WAIT, 0, &short_time, NULL, 0) == -1 && errno == ETIMEDOUT);
    REPORT(futex(&word, FUTEX_WAIT, 0, &wrong_time, NULL, 0) == -1 && errno == EINVAL);
    REPORT(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, 1) == -1 && errno == ETIMEDOUT);
    REPORT(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 1) == -1 && errno == ETIMEDOUT);
    REPORT(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0) == -1 && errno == EINVAL);
    REPORT(futex((unsigned *)8, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT);
    REPORT(futex((unsigned *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EINVAL);
    REPORT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    REPORT(futex((unsigned *)64, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EFAULT);
    REPORT(futex((unsigned *)64, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
    REPORT(futex(&word, 77, 1, NULL, NULL, 0) == -1 && errno == ENOSYS);
}

static void check_bits(void)
{
    pthread_t odd, even;

    pthread_create(&odd, NULL, wait_on_word, (void *)1L);
    pthread_create(&even, NULL, wait_on_word, (void *)2L);
    REPORT(wake_exactly(&word, FUTEX_WAKE_BITSET, 1, 2) == 1);
    pthread_join(even, NULL);
    REPORT(woken == 1);
    REPORT(wake_exactly(&word, FUTEX_WAKE, 1, 0) == 1);
    pthread_join(odd, NULL);
    REPORT(woken == 2);
}

/* An old quirk: to wake nobody wakes one. */
static void check_count_of_nobody(void)
{
    pthread_t thread;

    woken = 0;
    pthread_create(&thread, NULL, wait_on_word, (void *)-1L);
    while (futex(&word, FUTEX_WAKE, 0, NULL, NULL, 0) == 0)
        usleep(1000);
    pthread_join(thread, NULL);
    REPORT(woken == 1);
}

static void check_robust_list(void)
{
    void *head = NULL;
    size_t length = 0;

    REPORT(syscall(SYS_get_robust_list, 0, &head, &length) == 0 && head != NULL && length == 24);
    REPORT(syscall(SYS_get_robust_list, 0x3fffffff, &head, &length) == -1 && errno == ESRCH);
    REPORT(syscall(SYS_get_robust_list, 0, 8, &length) == -1 && errno == EFAULT);
}

static void check_requeue(void)
{
    pthread_t threads[3];
    long moved = 0;

    woken = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, wait_on_word, (void *)-1L);
    REPORT(futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)10, &other_word, 5) == -1 && errno == EAGAIN);
    while (moved < 3) {
        moved += futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)10, &other_word, 0);
        usleep(1000);
    }
    REPORT(moved == 3);
    REPORT(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0) == 0);
    REPORT(futex(&other_word, FUTEX_WAKE, 9, NULL, NULL, 0) == 3);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    REPORT(woken == 3);
}

static pthread_mutex_t robust;

static void *die_with_mutex(void *argument)
{
    pthread_mutex_lock(&robust);
    return argument;
}

static void check_robust_mutex(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_create(&thread, NULL, die_with_mutex, NULL);
    pthread_join(thread, NULL);
    REPORT(pthread_mutex_lock(&robust) == EOWNERDEAD);
    REPORT(pthread_mutex_consistent(&robust) == 0);
    REPORT(pthread_mutex_unlock(&robust) == 0);
}

/* Two processes that map one file each by itself, as sem_open does, meet at its words. */
static void check_shared_file(void)
{
    struct timespec long_time = {.tv_sec = 60};
    int file = memfd_create("shared", 0);
    unsigned *mine;
    int status;

    ftruncate(file, 3 * 4096);
    if (fork() == 0) {
        unsigned *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 4096);
        _exit(wake_exactly(own + 3, FUTEX_WAKE, 1, 0) != 1);
    }
    mine = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REPORT(futex(mine + 1024 + 3, FUTEX_WAIT, 0, &long_time, NULL, 0) == 0);
    REPORT(wait(&status) > 0 && status == 0);
    close(file);
    munmap(mine, 3 * 4096);
}

int main(void)
{
    check_results();
    check_bits();
    check_count_of_nobody();
    check_robust_list();
    check_requeue();
    check_robust_mutex();
    check_shared_file();
    return report_status();
}
