#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Prints every constant of the public headers. ctest compares them with
# constants.txt: programs that are already compiled hold these numbers.
# The version is left out: it may change.
#
# usage: print_constants.sh INCLUDE_DIR
set -eu
LC_ALL=C
export LC_ALL

printf '#include <trapgate/trapgate.h>\n' | ${CC:-cc} -E -dM -I "${1:?usage: print_constants.sh INCLUDE_DIR}" - |
    sed -n 's/^#define \(TG_[A-Z0-9_]*\) /\1 /p' | grep -v -E '^TG_(API|VERSION_[A-Z]+|ABI_VERSION) ' | sort
