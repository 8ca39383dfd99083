#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests the page of weir serve in Chromium: tests/web/run.sh [FILE...], and what else playwright
# takes. Each test has a server of its own (mock.mjs), or with WEIR_URL that one, for any.spec.
set -eu
cd "$(dirname "$0")"
sh ../../tools/npm.sh tests/web
exec node_modules/.bin/playwright test "$@"
