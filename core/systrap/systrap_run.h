/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Running a context: starting it in a subprocess, and the switch, in which one thread waits for one context. */
#ifndef CORE_SYSTRAP_RUN_H
#define CORE_SYSTRAP_RUN_H

#include "core/systrap/systrap_types.h"

/* Who waits for the event. */
enum start_for {
    START_FOR_SWITCH,
    START_FOR_QUEUE, /* which finds it in the done ring */
    START_FOR_LONE,  /* a queue that looks at the slot: lone_context.h */
};

/* 0: it runs. 1: the event is written. <0: an error, nothing has changed. */
int systrap_start(struct systrap_context *context, struct systrap_subprocess *subprocess, enum start_for whom,
                  struct tg_event *event);
/* Starts a context again that has left guest code for no event. */
void systrap_run_again(struct systrap_context *context);

/* What a switch is made of. Begins one: as systrap_start(), and 1 also where the subprocess is being destroyed. */
int systrap_switch_begin(struct systrap_context *context, struct systrap_subprocess *subprocess,
                         struct tg_event *event);
/* Looks for what the context leaves, for spin_ns at most. True: it is there. */
bool systrap_spin(struct systrap_context *context, int64_t spin_ns);
/* Also returns when the subprocess has died. */
void systrap_sleep_until_arrived(struct systrap_context *context);
/* True: the event is written. False: what the context has left was none, and it runs on. */
bool systrap_switch_end(struct systrap_context *context, struct tg_event *event);

int systrap_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event);
void systrap_context_create(struct tg_context *context);
void systrap_context_reset(struct tg_context *context);
int systrap_context_pull_fp(struct tg_context *context);
void systrap_context_pull_regs(struct tg_context *context);
void systrap_context_set_return(struct tg_context *context, int64_t value);
void systrap_context_fp_changes(struct tg_context *context);
void systrap_context_destroy(struct tg_context *context);
/* Called by a waiter before it sleeps: has contexts in the run ring get workers. Until when it may sleep. */
int64_t systrap_before_sleep(struct systrap_subprocess *subprocess);
/* The same for who only wants contexts to stop: makes no new worker, for which a stopped stub would keep it waiting. */
void systrap_make_way(struct systrap_subprocess *subprocess);

#endif
