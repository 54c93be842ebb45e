/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The sentences of tg_platform_last_error(). */
#ifndef CORE_LAST_ERROR_H
#define CORE_LAST_ERROR_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#define LAST_ERROR_SLOTS  17 /* the newest and the 16 that stay readable */
#define LAST_ERROR_LENGTH 320

struct last_error {
    pthread_mutex_t lock;
    uint32_t next;
    _Atomic(const char *) newest;
    char text[LAST_ERROR_SLOTS][LAST_ERROR_LENGTH];
};

void last_error_init(struct last_error *errors);
void last_error_destroy(struct last_error *errors);
void last_error_set(struct last_error *errors, const char *format, va_list args);
const char *last_error_get(const struct last_error *errors);

#endif
