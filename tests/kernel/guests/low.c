/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A program that lies at the lowest addresses that Linux gives, where a backend may have reserved some. */
#include <stdio.h>

int main(void)
{
    puts("low");
    return 0;
}
