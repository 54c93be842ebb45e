/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/systrap/shared_words.h"
#include "core/systrap/worker_answers.h"

_Static_assert(ANSWER_CALLS == TG_ANSWER_CALLS, "what the header says");
_Static_assert(CONTEXT_WORDS == TG_CONTEXT_WORDS, "the same");

/* ---- calls ---- */

static struct systrap_answers *answers_of(const struct systrap_subprocess *subprocess)
{
    return (struct systrap_answers *)(subprocess->memory + SYSTRAP_ANSWERS);
}

static uint8_t how(uint32_t kind, uint64_t value)
{
    switch (kind) {
    case TG_ANSWER_VALUE:
        return ANSWER_VALUE;
    case TG_ANSWER_CONTEXT_WORD:
        return (uint8_t)(ANSWER_WORDS + value);
    default:
        return ANSWER_EVENT;
    }
}

/* The value is there before a worker that reads how it answers comes to need it: answer() of the worker. */
void systrap_subprocess_answer(struct tg_subprocess *base, uint32_t nr, uint32_t kind, uint64_t value)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    struct systrap_answers *answers = answers_of(subprocess);

    if (kind == TG_ANSWER_VALUE)
        SHARED_STORE(answers->values[nr], value);
    SHARED_STORE(answers->how[nr], how(kind, value));
    if (kind != TG_ANSWER_NONE)
        SHARED_STORE(config_of(subprocess)->answers, 1);
}

void answers_inherit(struct systrap_subprocess *child, const struct systrap_subprocess *mother)
{
    const struct systrap_answers *from = answers_of(mother);
    struct systrap_answers *to = answers_of(child);

    if (!SHARED_LOAD(config_of(mother)->answers))
        return;
    for (uint32_t nr = 0; nr < ANSWER_CALLS; nr++) {
        to->how[nr] = SHARED_LOAD(from->how[nr]);
        if (to->how[nr] == ANSWER_VALUE)
            to->values[nr] = SHARED_LOAD(from->values[nr]);
    }
    config_of(child)->answers = 1;
}

/* ---- words of contexts ---- */

void words_init(struct systrap_context_words *words)
{
    pthread_mutex_init(&words->lock, NULL);
}

void words_destroy(struct systrap_context_words *words)
{
    pthread_mutex_destroy(&words->lock);
}

void systrap_context_set_word(struct tg_context *base, uint32_t index, uint64_t value)
{
    struct systrap_context *context = to_systrap_context(base);
    struct systrap_context_words *words = &context->words;

    pthread_mutex_lock(&words->lock);
    words->own.words[index] = value;
    words->set = true;
    if (words->place) {
        atomic_store(&context->bound->words_used, true);
        SHARED_STORE(words->place->words[index], value);
    }
    pthread_mutex_unlock(&words->lock);
}

/* Where no context has ever had words they are zero, and their memory is nobody's. */
void words_bring(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    struct systrap_context_words *words = &context->words;

    pthread_mutex_lock(&words->lock);
    words->place = (struct systrap_words *)(subprocess->memory + SYSTRAP_WORDS) + context->number;
    if (words->set)
        atomic_store(&subprocess->words_used, true);
    for (uint32_t i = 0; i < CONTEXT_WORDS && atomic_load(&subprocess->words_used); i++)
        SHARED_STORE(words->place->words[i], words->own.words[i]);
    pthread_mutex_unlock(&words->lock);
}

void words_take_away(struct systrap_context *context)
{
    pthread_mutex_lock(&context->words.lock);
    context->words.place = NULL;
    pthread_mutex_unlock(&context->words.lock);
}
