/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>

#include "core/last_error.h"

void last_error_init(struct last_error *errors)
{
    pthread_mutex_init(&errors->lock, NULL);
    errors->next = 0;
    atomic_store(&errors->newest, "");
}

void last_error_destroy(struct last_error *errors)
{
    pthread_mutex_destroy(&errors->lock);
}

void last_error_set(struct last_error *errors, const char *format, va_list args)
{
    char *slot;

    pthread_mutex_lock(&errors->lock);
    slot = errors->text[errors->next];
    errors->next = (errors->next + 1) % LAST_ERROR_SLOTS;
    vsnprintf(slot, LAST_ERROR_LENGTH, format, args);
    atomic_store(&errors->newest, slot);
    pthread_mutex_unlock(&errors->lock);
}

const char *last_error_get(const struct last_error *errors)
{
    return atomic_load(&errors->newest);
}
