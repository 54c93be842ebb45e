/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>
#include <trapgate/trapgate.h>

static const char guest[] = "\xb8\x27\0\0\0\x0f\x05\x89\xc7\xb8\x3c\0\0\0\x0f\x05"; /* x86-64: exit(getpid()) */

int main(void)
{
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_context *context;
    tg_event event = {.size = sizeof(event)};

    if (tg_platform_open(NULL, &platform) || tg_subprocess_create(platform, &subprocess) ||
        tg_subprocess_map(subprocess, 0x10000, 4096, TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC, 0, -1, 0) ||
        tg_subprocess_write(subprocess, 0x10000, guest, sizeof(guest), NULL) || tg_context_create(platform, &context) ||
        tg_context_start(context, 0x10000, 0)) {
        fprintf(stderr, "failed: %s\n", platform ? tg_platform_last_error(platform) : "see `trapgate doctor`");
        return 1;
    }
    while (!tg_context_switch(context, subprocess, &event) && event.kind == TG_EVENT_SYSCALL) {
        printf("call %d, argument %d\n", (int)event.u.syscall.nr, (int)event.u.syscall.args[0]);
        if (event.u.syscall.nr == 60)
            break;
        tg_context_set_return(context, 1234); /* what getpid() returns to the guest */
    }
    tg_platform_close(platform);
}
