#!/bin/sh
# SPDX-License-Identifier: MIT
# weir and llama.cpp on the same file with the same threads, in turn: medians, spreads and ratios.
#     tools/peer/bench.sh [--force] [--model FILE] [--size SIZE] [--type TYPE] [--threads N]
#                         [--prompt N] [--generate N] [--depth N] [--rounds N]
#                         [--isa LEVEL] [--library NAME]
# FILE is seen from the root of the project. Without it, a made-up model of that size and type is
# written to build/peer. Refuses to run while the machine is more than 5% busy; --force runs all the
# same, and the table says so.
#
# llama.cpp comes as the libraries in the npm package of tools/peer/package.json (node-llama-cpp's
# own, for x86-64), which peer.c times. Each round is a process of each program, with a warm-up, and
# for `start` another one without: from its start to its end, with one token behind a prompt of
# five, the file in the page cache. `memory` is the most that the process of the tests had resident,
# what it has mapped of the file included.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

work=build/peer
weir=build/weir
force=no
model=
size=0.8B
type=q4_0
threads=
prompt=128
generate=32
depth=0
rounds=7
isa=
library=

fail()
{
    echo "error: $*" >&2
    exit 1
}

number()
{
    case $2 in
    '' | *[!0-9]* | 0?*) fail "$1: '$2' is not a number" ;;
    esac
}

count()
{
    number "$1" "$2"
    [ "$2" != 0 ] || fail "$1: 0 is too few"
}

while [ $# -gt 0 ]; do
    if [ "$1" = --help ] || [ "$1" = -h ]; then
        sed -n '/^# weir and/,/^set -eu/s/^# \{0,1\}//p' "$0"
        exit 0
    fi
    if [ "$1" = --force ]; then
        force=yes
        shift
        continue
    fi
    [ $# -gt 1 ] || fail "$1: needs a value"
    case $1 in
    --model) model=$2 ;;
    --size) size=$2 ;;
    --type) type=$2 ;;
    --threads) count "$1" "$2" && threads=$2 ;;
    --prompt) number "$1" "$2" && prompt=$2 ;;
    --generate) count "$1" "$2" && generate=$2 ;;
    --depth) number "$1" "$2" && depth=$2 ;;
    --rounds) count "$1" "$2" && rounds=$2 ;;
    --isa) isa=$2 ;;
    --library) library=$2 ;;
    *) fail "invalid argument: $1" ;;
    esac
    shift 2
done

[ -z "$model" ] || [ -r "$model" ] || fail "--model: $model cannot be read"

# ---- the machine -----------------------------------------------------------------------------

# Ticks of all processors that were busy, and all ticks.
ticks()
{
    awk '/^cpu / { for (i = 2; i <= 9; i++) all += $i; print all - $5 - $6, all; exit }' /proc/stat
}

# Percent of 1.5 seconds that the processors are busy.
busy_percent()
{
    before=$(ticks)
    sleep 1.5
    echo "$before $(ticks)" | awk '{ printf "%.1f", 100 * ($3 - $1) / ($4 - $2) }'
}

busy=$(busy_percent)
if awk -v busy="$busy" 'BEGIN { exit !(busy > 5) }'; then
    [ $force = yes ] || fail "the machine is $busy% busy, more than 5%: wait, or use --force"
    note="FORCED on a machine that was $busy% busy before: no figures to keep"
else
    note="$busy% busy before"
fi

# ---- the two programs ------------------------------------------------------------------------

[ -x $weir ] || fail "$weir is missing: run make"
if ! command -v npm >/dev/null; then
    fail 'npm is missing: it brings the libraries of llama.cpp (Debian: apt-get install npm)'
fi
mkdir -p $work
cp tools/peer/package.json $work
if ! npm install --prefix $work --no-package-lock --ignore-scripts --no-audit --no-fund \
    >$work/npm.log 2>&1; then
    tail -n 5 $work/npm.log >&2
    fail "npm could not install the package; see $work/npm.log"
fi
package=$PWD/$work/node_modules/@node-llama-cpp/linux-x64
libraries=$package/bins/linux-x64
cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -o $work/peer tools/peer/peer.c \
    "$libraries"/libllama.*.so "$libraries"/libggml.*.so "$libraries"/libggml-base.so \
    -Wl,-rpath,"$libraries"

kernels=$libraries
if [ -n "$library" ]; then
    kernels=$PWD/$work/$library
    one=$libraries/libggml-cpu-$library.so
    [ -e "$one" ] || fail "--library: the package has no $library;" \
        "it has $(cd "$libraries" && echo libggml-cpu-*.so | sed 's/libggml-cpu-//g; s/\.so//g')"
    rm -rf "$kernels"
    mkdir "$kernels"
    ln -s "$one" "$kernels"
fi

if [ -z "$model" ]; then
    model=$work/$size-$type.gguf
    [ -e "$model" ] || $weir synth --size "$size" --type "$type" --out "$model"
fi
[ -n "$threads" ] || threads=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)

# ---- measuring -------------------------------------------------------------------------------

# Runs a program, and notes how long it took (start) or how much memory it had (memory):
# watched NAME start|memory COMMAND...
watched()
{
    name=$1
    what=$2
    shift 2
    $work/peer --process "$@" 2>$work/run.log ||
        fail "$name did not run: $(grep -v '^process' $work/run.log | tail -n 1)"
    awk -v name="$name" -v what="$what" '$1 == "process" {
        print name, what, what == "start" ? $2 / 1e9 : $3 / 1048576
    }' $work/run.log >>$work/samples
}

# Lines "PROGRAM TEST TOKENS-PER-SECOND".
run_peer()
{
    watched peer memory \
        $work/peer "$kernels" "$model" "$threads" "$prompt" "$generate" "$depth" |
        awk -v pp="$prompt" -v tg="$generate" \
            '{ print "peer", $1, ($1 == "pp" ? pp : tg) * 1e9 / $2 }'
}

run_weir()
{
    watched weir memory $weir bench -m "$model" -t "$threads" -p "$prompt" -n "$generate" \
        -d "$depth" -r 1 -o jsonl ${isa:+--isa "$isa"} |
        sed 's/.*"n_prompt": \([0-9]*\),.*"avg_ts": \([0-9.]*\),.*/\1 \2/' |
        awk '{ print "weir", ($1 > 0 ? "pp" : "tg"), $2 }'
}

# Digits are tokens of their own in every vocabulary of these models.
start_peer()
{
    watched peer start $work/peer "$kernels" "$model" "$threads" 12345 >/dev/null
}

start_weir()
{
    watched weir start $weir run -m "$model" -t "$threads" -c 512 -n 1 --no-warmup -p 12345 \
        ${isa:+--isa "$isa"} >/dev/null
}

cat "$model" >/dev/null
: >$work/samples
round=0
while [ $round -lt "$rounds" ]; do
    run_weir >>$work/samples
    run_peer >>$work/samples
    start_weir
    start_peer
    round=$((round + 1))
done
tests=3
[ "$prompt" -eq 0 ] || tests=4
[ "$(wc -l <$work/samples)" -eq $((2 * tests * rounds)) ] || fail "not all rounds have results"

# ---- the table -------------------------------------------------------------------------------

release=$(sed 's/.*"release":"\([^"]*\)".*/\1/' "$libraries/_nlcBuildMetadata.json")
echo "$(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
    "$threads threads, $rounds rounds, $note"
$weir --version | paste -sd ' ' -
echo "peer: llama.cpp $release of @node-llama-cpp/linux-x64" \
    "$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$package/package.json")"
echo "model: $model, $(($(stat -L -c %s "$model") / 1048576)) MiB" \
    "${isa:+; weir --isa $isa}${library:+; peer $library}"
echo
sort -k1,2 -k3,3g $work/samples | awk -v pp="pp$prompt" -v tg="tg$generate" -v depth="$depth" '
    { key = $1 " " $2; value[key, count[key]++] = $3 }
    function median(key,    n) {
        n = count[key]
        return (value[key, int((n - 1) / 2)] + value[key, int(n / 2)]) / 2
    }
    # The width of the middle half, in percent of the median.
    function spread(key,    n) {
        n = count[key]
        return 100 * (value[key, n - 1 - int(n / 4)] - value[key, int(n / 4)]) / median(key)
    }
    function row(name, test, unit) {
        if (count["weir " test] == 0)
            return
        if (depth > 0 && unit == "t/s")
            name = name "@" depth
        printf "| %-10s | %8.2f %-3s | %5.1f%% | %8.2f %-3s | %5.1f%% | %11.3f |\n", name,
            median("weir " test), unit, spread("weir " test), median("peer " test), unit,
            spread("peer " test), median("weir " test) / median("peer " test)
    }
    END {
        print "| test       |         weir | spread |         peer | spread | weir / peer |"
        print "| ---------- | -----------: | -----: | -----------: | -----: | ----------: |"
        row(pp, "pp", "t/s")
        row(tg, "tg", "t/s")
        row("start", "start", "s")
        row("memory", "memory", "MiB")
    }'
