#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck disable=SC2034 # most of it is for those who include it
# What the package tests share. They are called as SCRIPT BUILD_DIR COMPILER LIBDIR, install the build to a prefix of
# their own and use it from outside of the tree.
set -euo pipefail

build_dir=$1 compiler=$2 libdir=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch" && rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
archive_only=$scratch/archive-only # without the shared library, -ltrapgate can only mean the archive
warnings=(-std=c11 -pedantic -Wall -Wextra -Werror)
passed=0 failed=0 skipped=0

record() { # NAME COMMAND...: one case, by the exit status of its command
    local name=$1 status=0
    shift
    "$@" || status=$?
    case $status in
    0) passed=$((passed + 1)) && echo "ok   $name" ;;
    77) skipped=$((skipped + 1)) && echo "skip $name" ;;
    *) failed=$((failed + 1)) && echo "FAIL $name (status $status)" ;;
    esac
}

close() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

skip_all() { # REASON
    echo "skipped: $1"
    exit 77
}

install_twice() {
    cmake --install "$build_dir" --prefix "$prefix" >/dev/null
    cp -a "$prefix" "$archive_only" && rm "$archive_only/$libdir"/libtrapgate.so*
}

pkg_config() { # PREFIX ARGUMENTS...
    PKG_CONFIG_PATH=$1/$libdir/pkgconfig pkg-config "${@:2}"
}

quietly() { # COMMAND...: shows the output only when the command fails
    local status=0
    "$@" >"$scratch/log" 2>&1 || status=$?
    [ "$status" = 0 ] || cat "$scratch/log"
    return "$status"
}

needs_shared() { # PROGRAM
    readelf -d "$1" | grep -q 'NEEDED.*libtrapgate\.so\.1\]'
}

needs_no_shared() { # PROGRAM
    ! readelf -d "$1" | grep -q 'NEEDED.*libtrapgate'
}

# What the README shows of a file of this tree: between two lines that name it, without the fences.
readme_text() { # FILE
    awk -v begin="<!-- begin $1 -->" -v end="<!-- end $1 -->" \
        '$0 == end { shown = 0 } shown && !/^```/ { print } $0 == begin { shown = 1 }' "$tree/README.md"
}

readme_is_the_same() { # FILE
    readme_text "$1" >"$scratch/readme"
    [ -s "$scratch/readme" ] && diff -u "$tree/$1" "$scratch/readme"
}

# What the README shows after `$ ./example`: all its examples print this.
example_output() {
    sed -n '/^\$ \.\/example$/,/^```$/p' "$tree/README.md" | sed '1d;$d'
}

prints_what_the_readme_says() { # COMMAND...
    [ "$(uname -m)" = x86_64 ] || return 77 # the guest is machine code
    "$@" >"$scratch/output" && [ -s "$scratch/output" ] && diff -u <(example_output) "$scratch/output"
}
