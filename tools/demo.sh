#!/bin/sh
# SPDX-License-Identifier: MIT
# The turn of a chat that `make demo` shows, taken twice: with drafts, as `weir chat` does by
# itself, and then without. The answers must be the same to the byte. An answer takes some
# hundredths of a second, so each is made a few times, in turn, and the median speed is told.
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

turns=7

# One line a turn into FILE, how many tokens came a second: rate LOG >>FILE
rate()
{
    sed -n 's/^Generation: .* \([0-9.]*\) t\/s$/\1/p' "$1"
}

median()
{
    sort -n "$1" | sed -n "$(((turns + 1) / 2))p"
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
for number in $(seq $turns); do
    turn "$folder/log" >/dev/null
    turn "$folder/plain.log" --spec-type none >/dev/null
    rate "$folder/log" >>"$folder/rates"
    rate "$folder/plain.log" >>"$folder/plain.rates"
done
echo "The same answer, with drafts and without, the median of $turns turns each:"
echo "  with:    $(median "$folder/rates") t/s; $(sed -n 's/^Drafts: */drafts: /p' "$folder/log")"
echo "  without: $(median "$folder/plain.rates") t/s"
