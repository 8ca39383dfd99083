#!/bin/sh
# SPDX-License-Identifier: MIT
# Asks weir serve, with the model that ships with it, by the clients that people use: the packages
# of OpenAI and Anthropic, and curl. tests/serve/client/run.sh PROGRAM
# With WEIR_URL in the environment: the server there (key k1, alias shipped) in place of one of its
# own.
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")"
if [ -z "${WEIR_URL:-}" ]; then
    port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
        console.log(s.address().port); s.close(); })')
    log=$(mktemp)
    slots=$(mktemp -d)
    "$program" serve --port "$port" --api-key k1 --alias shipped -np 2 -c 4096 --metrics --props \
        --slot-save-path "$slots" >"$log" 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server || true; rm -rf "$log" "$slots"' EXIT
    WEIR_URL=http://127.0.0.1:$port
    export WEIR_URL
    tries=0
    until curl -sf "$WEIR_URL/health" >/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 $server; then
            cat "$log" >&2
            exit 1
        fi
        sleep 0.2
    done
fi
status=0
node --test --test-concurrency=1 --test-reporter=spec ./*.test.mjs || status=1
sh ./curl.sh || status=1
if [ $status -ne 0 ] && [ -n "${log:-}" ]; then
    tail -n 20 "$log" >&2
fi
exit $status
