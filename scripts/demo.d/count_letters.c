/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The demo's program with threads: four of them count the bytes of a file,
 * each taking the next block under a lock, and meet at a barrier before they
 * add up what they found.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define THREADS    4
#define BLOCK_SIZE 4096

struct job {
    int fd;
    off_t next_block;
    pthread_mutex_t lock;
    pthread_barrier_t counted;
    unsigned long total[256];
};

static off_t take_block(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    off_t block = job->next_block;
    job->next_block += BLOCK_SIZE;
    pthread_mutex_unlock(&job->lock);
    return block;
}

static void *count_blocks(void *argument)
{
    struct job *job = argument;
    unsigned long seen[256] = {0};
    unsigned char buffer[BLOCK_SIZE];
    ssize_t length;

    while ((length = pread(job->fd, buffer, sizeof(buffer), take_block(job))) > 0)
        for (ssize_t i = 0; i < length; i++)
            seen[buffer[i]]++;

    pthread_barrier_wait(&job->counted);
    pthread_mutex_lock(&job->lock);
    for (int value = 0; value < 256; value++)
        job->total[value] += seen[value];
    pthread_mutex_unlock(&job->lock);
    return length < 0 ? job : NULL;
}

static int count_with_threads(struct job *job)
{
    pthread_t threads[THREADS];
    int failed = 0;

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count_blocks, job) != 0)
            return 1; /* the others wait at the barrier; the process ends with main */
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed |= result != NULL;
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct job job = {.fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1, .lock = PTHREAD_MUTEX_INITIALIZER};

    if (job.fd < 0) {
        fprintf(stderr, "usage: count_letters FILE\n");
        return 2;
    }
    pthread_barrier_init(&job.counted, NULL, THREADS);
    if (count_with_threads(&job) != 0) {
        perror("count_letters");
        return 1;
    }
    for (int letter = 'a'; letter <= 'z'; letter++)
        printf("%c %lu\n", letter, job.total[letter] + job.total[letter - 'a' + 'A']);
    return 0;
}
