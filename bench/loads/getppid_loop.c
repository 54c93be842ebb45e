/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* getppid_loop MS - prints the ns of one getppid by the raw instruction pair. */
#include "one_thread.h"
#include "raw_getppid.h"

int main(int argc, char **argv)
{
    return report_ns_per_call((double)load_argument(argc, argv, 1, "getppid_loop MS") / 1000, raw_getppid);
}
