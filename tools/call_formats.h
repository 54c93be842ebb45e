/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_TOOLS_CALL_FORMATS_H
#define TRAPGATE_TOOLS_CALL_FORMATS_H

/*
 * How the arguments and the result of a call are printed, one letter each:
 *   d  signed number     u  unsigned number     x  hexadecimal
 *   o  octal (modes)     s  string in guest memory
 * The result's letter comes first. Calls without an entry have six
 * hexadecimal arguments.
 */
const char *call_format(const char *name);

#endif
