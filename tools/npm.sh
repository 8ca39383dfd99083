#!/bin/sh
# SPDX-License-Identifier: MIT
# Brings the npm packages that the package-lock.json of a folder names: tools/npm.sh FOLDER. No
# script of a package runs. Does nothing if they are there. Status 3 if there is no node 20 with
# npm, or npm does not hand the packages out; 1 if the folder's own files are at fault.
set -eu
cd "$(dirname "$0")/../$1"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
stamp=node_modules/.of-lock

command -v node >/dev/null && command -v npm >/dev/null || exit 3
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || exit 3
if cmp -s package-lock.json "$stamp"; then
    exit 0
fi
if ! npm ci --ignore-scripts --no-audit --no-fund --fetch-retries 1 >"$log" 2>&1; then
    cat "$log" >&2
    # npm's own word for a lock that does not fit the package.json beside it.
    if grep -q EUSAGE "$log"; then
        exit 1
    fi
    exit 3
fi
cp package-lock.json "$stamp"
