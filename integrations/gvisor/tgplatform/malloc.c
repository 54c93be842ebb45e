/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The C library's malloc opens files, to count the host's processors when
 * several threads use it, and to see whether it may give memory back that it
 * has got for them. The filter of a sandbox kills it then. With one arena for
 * all threads it does neither; the library needs memory when things are made,
 * not when guests run. Before Go's runtime has made threads, each of which
 * could have an arena already.
 */
#include <malloc.h>

__attribute__((constructor)) static void keep_to_one_arena(void)
{
    mallopt(M_ARENA_MAX, 1);
}
