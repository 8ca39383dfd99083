#!/bin/sh
# SPDX-License-Identifier: MIT
# The turn of a chat that `make demo` shows, taken twice: with drafts, as `weir chat` does by
# itself, and once more without. The answers must be the same to the byte; the speeds are told.
#     tools/demo.sh WEIR MESSAGE
set -eu
export LC_ALL=C
weir=$1
message=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
colors=off
if [ -t 1 ]; then
    colors=on # though what comes through a pipe is no terminal to weir
fi

# One turn, and what it took: turn LOG FLAG...
turn()
{
    log=$1
    shift
    printf '%s\n/stats\n' "$message" |
        "$weir" chat --reasoning on --color $colors --seed "$seed" "$@" 2>"$log"
}

# The lines that tell how fast tokens came, and of drafts, if there were any.
speeds()
{
    sed -n 's/^\(Generation\): */\1: /p; s/^\(Drafts\): */\1: /p' "$1"
}

seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
printf '> %s\n\n' "$message"
{ turn "$folder/log" || echo >"$folder/failed"; } | tee "$folder/drafted"
echo
cat "$folder/log" >&2
[ ! -e "$folder/failed" ]
turn "$folder/plain.log" --spec-type none >"$folder/plain"
cmp -s "$folder/drafted" "$folder/plain" || {
    echo "error: without drafts the answer is another one (seed $seed)" >&2
    exit 1
}
echo "The same answer, with drafts and without:"
speeds "$folder/log" | sed 's/^/  with:    /'
speeds "$folder/plain.log" | sed 's/^/  without: /'
