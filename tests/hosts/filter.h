/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TESTS_HOSTS_FILTER_H
#define TESTS_HOSTS_FILTER_H

#define KILL -1

/* From now on the call fails with that error number, or ends the process for KILL. 0, or a negative errno. */
int filter_refuse(int nr, long value);

/* For late.c: the call and the value of filter_refuse(), as numbers. */
#define LATE_VARIABLE "HOSTS_REFUSE"

#endif
