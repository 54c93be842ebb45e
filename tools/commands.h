/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The subcommands of trapgate. Each gets its own arguments, its name first, and returns the exit status. */
#ifndef TRAPGATE_TOOLS_COMMANDS_H
#define TRAPGATE_TOOLS_COMMANDS_H

/* Exit statuses of the command itself, apart from the guest program's: as env(1) and timeout(1) use them. */
#define EXIT_TRAPGATE_FAILED 125
#define EXIT_CANNOT_RUN      126
#define EXIT_NOT_FOUND       127

int command_run(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
