#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions that a token and a short prompt take, op by op, of one thread at the level v3, as
# callgrind counts them, compared with those that were recorded:
#     tools/instructions.sh [BUILD]            ends with 1 if something takes over 1% more
#     tools/instructions.sh --record [BUILD]   records anew, after a change that is meant to be
# Times are too noisy for CI; these counts are the same in each run. They depend on the compiler, so
# the record says with what it was made, and others skip. Prints "N passed, N failed" last.
set -u
cd "$(dirname "$0")/.." || exit 2

records=tests/data/instructions
tolerance=1

is_recording=0
if [ "${1:-}" = --record ]; then
    is_recording=1
    shift
fi
build=${1:-build}
work=$build/instructions
passed=0
failed=0

skip()
{
    echo "instructions are not counted: $1"
    echo '0 passed, 0 failed, 1 skipped'
    exit 0
}

# The system, the compiler and the tool that counts: "debian 12, gcc 12.2.0, release, x86_64, ..."
made_by()
{
    # shellcheck disable=SC1091 # not a file of the project
    system=$(. /etc/os-release && echo "$ID ${VERSION_ID:-}")
    compiler=$("$build/weir" --version | sed -n 's/^commit [^,]*, //; 2p')
    echo "$system, $compiler, $(valgrind --version)"
}

# Lays out a profile without running: profile_of MODEL MODE FLAG...
profile_of()
{
    model=$work/$1 mode=$2
    shift 2
    "$build/weir" profile "$model.gguf" --dry-run -o json --mode "$mode" "$@" >"$model-$mode.json"
}

# count NAME SYNTH_FLAG...: the counts of a made-up model, in $work/NAME.json
count()
{
    name=$1
    shift
    "$build/weir" synth --type q4_0 --out "$work/$name.gguf" "$@" &&
        profile_of "$name" decode --ctx 9 && profile_of "$name" prefill --ctx 0 -p 18 || return 1
    rm -f "$work/$name.callgrind"
    valgrind -q --tool=callgrind --instr-atstart=no --combine-dumps=yes \
        --callgrind-out-file="$work/$name.callgrind" "$build/tests/weir-instructions" \
        "$work/$name.gguf" "$work/$name.callgrind" "$made" "$work/$name-decode.json" \
        "$work/$name-prefill.json" >"$work/$name.json"
    status=$?
    rm -f "$work/$name.gguf"
    [ $status -ne 77 ] || skip 'callgrind has no AVX2 on this processor'
    return $status
}

# Steps that the record alone has, and what was not counted, --diff lists and does not judge.
is_all_compared()
{
    difference=$work/$1-diff.json
    "$build/weir" profile --diff "$records/$1.json" "$work/$1.json" -o json >"$difference"
    grep -qF '"only_in_old": []' "$difference" && ! grep -qF '"instructions": null' "$difference"
}

compare()
{
    name=$1
    if ! is_all_compared "$name"; then
        echo "FAIL $name: steps or counts of the record are missing now"
        failed=$((failed + 1))
        return
    fi
    if ! "$build/weir" profile --diff "$records/$name.json" "$work/$name.json" --tolerance \
        $tolerance; then
        echo "FAIL $name: if it is meant to be, tools/instructions.sh --record"
        failed=$((failed + 1))
        return
    fi
    passed=$((passed + 1))
    if ! "$build/weir" profile --diff "$work/$name.json" "$records/$name.json" --tolerance \
        $tolerance >/dev/null; then
        echo "$name takes less than was recorded: tools/instructions.sh --record keeps it so"
    fi
}

one()
{
    if ! count "$@"; then
        echo "FAIL $1: not counted"
        failed=$((failed + 1))
    elif [ $is_recording -eq 1 ]; then
        mkdir -p $records && cp "$work/$1.json" "$records/$1.json" && passed=$((passed + 1))
    else
        compare "$1"
    fi
}

command -v valgrind >/dev/null || skip 'there is no valgrind'
[ -x "$build/tests/weir-instructions" ] || skip "$build has no weir-instructions"
made=$(made_by)
if [ $is_recording -eq 0 ] && ! grep -qF "\"made_by\": \"$made\"" $records/*.json; then
    skip "$(grep -h -o '"made_by": "[^"]*"' $records/dense.json) made the record, this is $made"
fi
mkdir -p "$work"
one dense --size 0.8B --layers 4 --vocab 4096
one moe --size tinymoe
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
