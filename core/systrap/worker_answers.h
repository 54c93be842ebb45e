/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Calls that the stub answers itself when they are patched, and the words of
 * contexts that it answers with. Both are memory that no guest can write.
 */
#ifndef CORE_SYSTRAP_WORKER_ANSWERS_H
#define CORE_SYSTRAP_WORKER_ANSWERS_H

#include "core/systrap/systrap_types.h"

/* Any thread. The arguments were checked. */
void systrap_subprocess_answer(struct tg_subprocess *base, uint32_t nr, uint32_t kind, uint64_t value);
/* A child that does not run answers as its mother does. */
void answers_inherit(struct systrap_subprocess *child, const struct systrap_subprocess *mother);

void words_init(struct systrap_context_words *words);
void words_destroy(struct systrap_context_words *words);
/* Any thread, whatever the context does. */
void systrap_context_set_word(struct tg_context *base, uint32_t index, uint64_t value);
/* The context has got a slot, and does not run yet; it is about to give it back. */
void words_bring(struct systrap_context *context);
void words_take_away(struct systrap_context *context);

#endif
