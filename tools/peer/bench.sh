#!/bin/sh
# SPDX-License-Identifier: MIT
# weir and llama.cpp on the same file with the same threads, in turn: medians, spreads and ratios.
#     tools/peer/bench.sh [--force] [--model FILE] [--size SIZE] [--type TYPE] [--threads N]
#                         [--prompt N] [--generate N] [--rounds N]
# FILE is seen from the root of the project. Without it, a made-up model of that size and type is
# written to build/peer. Refuses to run while the machine is more than 5% busy; --force runs all the
# same, and the table says so.
#
# llama.cpp comes as the libraries in the npm package of tools/peer/package.json (node-llama-cpp's
# own, for x86-64), which peer.c times. Each round is a process of each program, with a warm-up, and
# for `start` another one without: from its start to its end, with one token behind a prompt of
# five, the file in the page cache.
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
rounds=7

fail()
{
    echo "error: $*" >&2
    exit 1
}

number()
{
    case $2 in
    '' | *[!0-9]* | 0*) fail "$1: '$2' is not a number from 1 up" ;;
    esac
}

while [ $# -gt 0 ]; do
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
    --threads) number "$1" "$2" && threads=$2 ;;
    --prompt) number "$1" "$2" && prompt=$2 ;;
    --generate) number "$1" "$2" && generate=$2 ;;
    --rounds) number "$1" "$2" && rounds=$2 ;;
    *) fail "invalid argument: $1" ;;
    esac
    shift 2
done

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

if [ -z "$model" ]; then
    model=$work/$size-$type.gguf
    [ -e "$model" ] || $weir synth --size "$size" --type "$type" --out "$model"
fi
[ -n "$threads" ] || threads=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)

# ---- measuring -------------------------------------------------------------------------------

# Lines "PROGRAM TEST TOKENS-PER-SECOND".
run_peer()
{
    $work/peer "$libraries" "$model" "$threads" "$prompt" "$generate" |
        awk -v pp="$prompt" -v tg="$generate" \
            '{ print "peer", $1, ($1 == "pp" ? pp : tg) * 1e9 / $2 }'
}

run_weir()
{
    $weir bench -m "$model" -t "$threads" -p "$prompt" -n "$generate" -r 1 -o jsonl |
        sed 's/.*"n_prompt": \([0-9]*\),.*"avg_ts": \([0-9.]*\),.*/\1 \2/' |
        awk '{ print "weir", ($1 > 0 ? "pp" : "tg"), $2 }'
}

# Seconds that a command takes from its start to its end: seconds NAME COMMAND...
seconds()
{
    name=$1
    shift
    began=$(date +%s%N)
    "$@" >$work/start.log 2>&1 || fail "$name did not start; see $work/start.log"
    echo "$name start $(($(date +%s%N) - began))" | awk '{ print $1, $2, $3 / 1e9 }'
}

# Digits are tokens of their own in every vocabulary of these models.
start_peer()
{
    seconds peer $work/peer "$libraries" "$model" "$threads" 12345
}

start_weir()
{
    seconds weir $weir run -m "$model" -t "$threads" -c 512 -n 1 --no-warmup -p 12345
}

cat "$model" >/dev/null
: >$work/samples
round=0
while [ $round -lt "$rounds" ]; do
    run_weir >>$work/samples
    run_peer >>$work/samples
    start_weir >>$work/samples
    start_peer >>$work/samples
    round=$((round + 1))
done
[ "$(wc -l <$work/samples)" -eq $((6 * rounds)) ] || fail "not all rounds have results"

# ---- the table -------------------------------------------------------------------------------

release=$(sed 's/.*"release":"\([^"]*\)".*/\1/' "$libraries/_nlcBuildMetadata.json")
echo "$(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
    "$threads threads, $rounds rounds, $note"
$weir --version | paste -sd ' ' -
echo "peer: llama.cpp $release of @node-llama-cpp/linux-x64" \
    "$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$package/package.json")"
echo "model: $model"
echo
sort -k1,2 -k3,3g $work/samples | awk -v pp="pp$prompt" -v tg="tg$generate" '
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
        printf "| %-8s | %8.2f %-3s | %5.1f%% | %8.2f %-3s | %5.1f%% | %11.3f |\n", name,
            median("weir " test), unit, spread("weir " test), median("peer " test), unit,
            spread("peer " test), median("weir " test) / median("peer " test)
    }
    END {
        print "| test     |         weir | spread |         peer | spread | weir / peer |"
        print "| -------- | -----------: | -----: | -----------: | -----: | ----------: |"
        row(pp, "pp", "t/s")
        row(tg, "tg", "t/s")
        row("start", "start", "s")
    }'
