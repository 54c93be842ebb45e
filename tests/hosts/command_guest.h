/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TESTS_HOSTS_COMMAND_GUEST_H
#define TESTS_HOSTS_COMMAND_GUEST_H

/* What it writes at its end, and its exit status where something was refused to it. */
#define GUEST_DONE    "guest: done\n"
#define GUEST_REFUSED 43

#endif
