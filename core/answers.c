/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that need not become events. A backend that makes events of all of them has nothing to be told. */
#include <errno.h>

#include "core/backend.h"

int subprocess_answer(struct tg_subprocess *subprocess, uint32_t nr, uint32_t kind, uint64_t value)
{
    static const char what[] = "answer calls";
    struct tg_platform *platform = subprocess->platform;

    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, what);
    if (!subprocess_enter(subprocess))
        return platform_fail(platform, -ESRCH, "%s: the subprocess is being destroyed", what);
    if (platform->ops->subprocess_answer)
        platform->ops->subprocess_answer(subprocess, nr, kind, value);
    subprocess_leave(subprocess);
    return 0;
}

int context_set_word(struct tg_context *context, uint32_t index, uint64_t value)
{
    struct tg_platform *platform = context->platform;

    if (!platform_is_ours(platform))
        return platform_refuse_fork(platform, "set a word of a context");
    if (platform->ops->context_set_word)
        platform->ops->context_set_word(context, index, value);
    return 0;
}
