/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * More children than the host has room for: a fork fails, or its child runs and
 * ends by itself. None is killed.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#define CHILDREN 60
#define STATUS   5

int main(void)
{
    int made = 0, ended = 0, status;

    while (made < CHILDREN) {
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            usleep(300000);
            _exit(STATUS);
        }
        made++;
    }
    REPORT(made == CHILDREN || errno == EAGAIN || errno == ENOMEM);
    while (wait(&status) > 0)
        ended += status == STATUS << 8;
    REPORT(ended == made);
    return report_status();
}
