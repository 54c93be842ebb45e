/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Ending all workers of a subprocess.
 *
 * A worker's stack and the addresses that it returns to are in memory that
 * guests write: nothing that it does says that a guest has not made it do so.
 * So a thread that is to have nothing of a guest's is a new one, and that the
 * old one is gone the host says.
 */
#ifndef CORE_SYSTRAP_WORKERS_END_H
#define CORE_SYSTRAP_WORKERS_END_H

#include "core/systrap/systrap_types.h"

/* No context is to get a worker any more: each ends as soon as it has let go of the one that it has. */
void workers_ask_to_end(struct systrap_subprocess *subprocess);
/* They were asked, and no context runs. False: the stub is dead, or its guest keeps a worker from ending. */
bool workers_end(struct systrap_subprocess *subprocess);

#endif
