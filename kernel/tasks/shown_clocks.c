/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/shown_clocks.h"

#include <errno.h>

#include "tasks/sandbox_state.h"

#define NS_PER_S UINT64_C(1000000000)

bool guest_clocks_are_own(const struct sandbox *sandbox)
{
    return sandbox->info.vdso_kind == TG_VDSO_OWN;
}

void guest_clocks_offer(const struct sandbox *sandbox, tg_subprocess *subprocess)
{
    if (guest_clocks_are_own(sandbox))
        tg_subprocess_set_clocks(subprocess, sandbox->clocks.shown, CLOCKS_SHOWN);
}

int guest_clock_now(const struct sandbox *sandbox, tg_subprocess *subprocess, clockid_t clock, struct timespec *now)
{
    tg_clock of_guest = {.size = sizeof(of_guest)};
    uint64_t ns;

    if (!guest_clocks_are_own(sandbox) || tg_subprocess_clock(subprocess, (uint32_t)clock, &of_guest, &ns) != 0 ||
        of_guest.kind != TG_CLOCK_TIME)
        return clock_gettime(clock, now) ? -errno : 0;
    *now = (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    return 0;
}
