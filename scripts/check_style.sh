#!/bin/sh
# Checks what a machine can see of the style: formatting, left-over notes, paths of somebody's machine. Silent when all is well.
# usage: check_style.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
bad=0

find src include tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror || bad=1

# Notes to oneself belong in the tracker. The patterns are put together so that this file does not match itself.
notes="TO""DO|FIX""ME|X""XX"
machine="/wo""rk/|/ro""ot/|/ho""me/[a-z]"
look() { # pattern, what it is, grep options…
    pattern=$1 what=$2
    shift 2
    found=$(grep -rnIE "$@" --exclude-dir=build --exclude-dir=.git --exclude-dir=.cache --exclude-dir=__pycache__ -e "$pattern" \
        src include tests scripts config CMakeLists.txt CMakePresets.json .ci ./*.md 2>/dev/null)
    [ -z "$found" ] && return
    printf '%s\n%s\n' "$what:" "$found"
    bad=1
}
look "$notes" "notes to be resolved" -w
look "$machine" "paths of one machine"

exit $bad
