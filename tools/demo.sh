#!/bin/sh
# SPDX-License-Identifier: MIT
# The story of `make demo`, told twice: with drafts, as `weir run` does by itself, and once more
# without. The texts must be the same to the byte; the speeds are told.
#     tools/demo.sh WEIR PROMPT
set -eu
export LC_ALL=C
weir=$1
prompt=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The line of a log that tells how fast tokens came, and of drafts, if there were any.
speeds()
{
    sed -n 's/^weir: *\(eval time\)/\1/p; s/^weir: *\(draft acceptance\)/\1/p' "$1"
}

seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
{ "$weir" run -p "$prompt" --seed "$seed" 2>"$folder/log" || echo >"$folder/failed"; } |
    tee "$folder/drafted"
cat "$folder/log" >&2
[ ! -e "$folder/failed" ]
"$weir" run -p "$prompt" --seed "$seed" --spec-type none >"$folder/plain" 2>"$folder/plain.log"
cmp -s "$folder/drafted" "$folder/plain" || {
    echo "error: without drafts the story is another one (seed $seed)" >&2
    exit 1
}
echo
echo "The same story, with drafts and without:"
speeds "$folder/log" | sed 's/^/  with:    /'
speeds "$folder/plain.log" | sed 's/^/  without: /'
