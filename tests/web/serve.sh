#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests the page against weir itself with the shipped model: tests/web/serve.sh WEIR LOG. What the
# server says goes to LOG; what else is given, to playwright.
set -eu
weir=$1
log=$2
shift 2

"$weir" serve --port 0 -c 4096 >"$log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$log")
    [ -z "$url" ] || break
    kill -0 $server || break
    sleep 0.1
done
if [ -z "$url" ]; then
    cat "$log" >&2
    exit 1
fi
WEIR_URL=${url%/}/ "$(dirname "$0")/run.sh" any.spec "$@"
