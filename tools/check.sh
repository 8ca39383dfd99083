#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything that CI does: tools/check.sh [PART...], by default all parts but `arm` and `long`.
# Prints a line for each part, the end of the log of one that fails, what failed once more behind
# all parts, and "N passed, N failed, N skipped" last. A part is a function below; lines "N passed,
# N failed" that it prints are its counts.
# Logs: build/check/PART.log.
#
# shellcheck disable=SC2046,SC2086 # lists of words; the project has no blanks in file names
set -u
cd "$(dirname "$0")/.." || exit 2

FUZZ_SECONDS=${FUZZ_SECONDS:-5}
brief='--seconds 4 --clients 16 --cases 6 --shorter 6' # a server's clients, with a sanitizer
logs=build/check
passed=0
failed=0
skipped=0

# ---- parts -----------------------------------------------------------------------------------

# Configures a build folder unless it is as asked already: configure DIR COMPILER OPTION...
# Warnings are errors here alone: a stranger's compiler may know ones that nobody has seen yet.
configure()
{
    dir=$1
    compiler=$2
    shift 2
    set -- -Dwerror=true "$@"
    stamp="$compiler $*"
    if [ -e "$dir/build.ninja" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    if [ -e "$dir/build.ninja" ]; then
        meson setup --reconfigure "$dir" "$@" || return 1
    else
        CC=$compiler meson setup "$dir" "$@" || return 1
    fi
    printf '%s\n' "$stamp" >"$dir/.configured"
}

# Prints the counts of a part that is one check: count_one STATUS
count_one()
{
    if [ "$1" -eq 0 ]; then
        echo '1 passed, 0 failed'
    else
        echo '0 passed, 1 failed'
    fi
}

part_rooms()
{
    awk -f tools/rooms.awk src/rooms.txt $(find src -name '*.[ch]' -o -name '*.def')
    count_one $?
}

part_style()
{
    tools/style.sh
}

# Runs the test programs of a build folder, by as many processes as there are processors.
# weir-touched, the proof of the byte counts, has instrumentation of its own and is not built with
# sanitizers.
run_tests()
{
    folder=$1
    shift
    status=0
    parts=$(nproc)
    children=
    for number in $(seq "$parts"); do
        "$folder/tests/weir-test" --verbose --part "$number/$parts" --program "$folder/weir" "$@" \
            >"$logs/$folder-$number.log" 2>&1 &
        children="$children $!"
    done
    for child in $children; do
        wait "$child" || status=1
    done
    for number in $(seq "$parts"); do
        cat "$logs/$folder-$number.log"
    done
    if [ -x "$folder/tests/weir-touched" ]; then
        "$folder/tests/weir-touched" || status=1
    fi
    return $status
}

part_gcc()
{
    configure build gcc -Dtests=enabled && ninja -C build && run_tests build
}

part_symbols()
{
    ninja -C build libweir.a &&
        objdump -t build/libweir.a | awk -f tools/symbols.awk tools/symbols.txt -
    count_one $?
}

# The text that the shipped model learns, and its tokenizer; what needs torch is `make train`.
part_train()
{
    python3 -B tools/train/test_bpe.py && python3 -B tools/train/test_template.py
    count_one $?
}

# With a shared library, since all is compiled anew anyway.
configure_clang()
{
    configure build-clang clang -Dtests=enabled -Ddefault_library=shared
}

# All is compiled; of the tests, those of numbers, in which compilers may differ.
part_clang()
{
    configure_clang && ninja -C build-clang all bench/weir-micro &&
        run_tests build-clang attention_ codec_ deltanet_ drawn_ encode_ equal_ golden_ kernels_ \
            layouts_ mixture_ mtp_ narrow_ ops_ rewind_ rounded_ rounds_ sampler_ synth_ tensors_
}

# The page of weir profile, opened in a browser.
part_page()
{
    if ! command -v chromium-headless-shell; then
        echo 'no chromium-headless-shell to open pages with'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    configure build gcc -Dtests=enabled && ninja -C build weir &&
        python3 -B tests/page/test_page.py build/weir chromium-headless-shell "$logs/page"
}

# weir serve, asked by the clients of OpenAI and Anthropic, and by curl.
part_serve()
{
    command -v node || sh tools/setup.sh nodejs
    command -v npm || sh tools/setup.sh npm
    command -v curl || sh tools/setup.sh curl
    status=0
    sh tools/npm.sh tests/serve/client || status=$?
    if [ $status -eq 3 ] || ! command -v curl; then
        echo 'no node 20 with npm, no connection to fetch packages with, or no curl'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    [ $status -eq 0 ] && configure build gcc -Dtests=enabled && ninja -C build weir || return 1
    tests/serve/client/run.sh build/weir >"$logs/serve-clients.log" 2>&1
    status=$?
    grep -v '^curl:' "$logs/serve-clients.log" | tail -n 60
    awk '$2 == "pass" { passed += $3 } $2 == "fail" { failed += $3 }
        $1 == "curl:" { passed += $2; failed += $4 }
        END { print passed + 0 " passed, " failed + 0 " failed" }' "$logs/serve-clients.log"
    return $status
}

# weir serve behind nginx, as docs/server.md has it. Nginx is not installed for this: on Debian it
# would begin to serve.
part_proxy()
{
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx)
    if [ -z "$nginx" ] || ! command -v openssl; then
        echo 'no nginx to stand before the server, or no openssl for its certificate'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    configure build gcc -Dtests=enabled && ninja -C build weir &&
        python3 -B tests/serve/proxy.py build/weir "$logs/proxy" "$nginx"
}

# weir serve of a build folder with many clients at once, then killed, with files that are damaged
# and a disk that is full: load_and_faults DIR ROUNDS SEED OPTION...
# The options are those of soak.py.
load_and_faults()
{
    dir=$1
    rounds=$2
    seed=$3
    shift 3
    outcome=0
    python3 -B tests/serve/soak.py "$dir/weir" "$logs/$dir-soak" --seed "$seed" "$@" || outcome=1
    python3 -B tests/serve/faults.py "$dir/weir" "$logs/$dir-faults" --seed "$seed" \
        --rounds "$rounds" || outcome=1
    return $outcome
}

part_load()
{
    configure build gcc -Dtests=enabled && ninja -C build weir && load_and_faults build 3 1
}

# A browser can fail where the page does not: what fails is tried once more, as Playwright does.
in_firefox()
{
    run='node --test-reporter=tap tests/web/firefox.mjs'
    result=0
    $run >"$logs/web-firefox.log" 2>&1 || {
        echo 'flaky, unless the second try fails too:'
        grep -A 12 '^not ok' "$logs/web-firefox.log"
        $run >"$logs/web-firefox.log" 2>&1 || result=1
    }
    cat "$logs/web-firefox.log"
    return $result
}

# The page of weir serve: what web/ makes is what is kept, and it does in a browser what it should.
part_web()
{
    command -v node || sh tools/setup.sh nodejs
    command -v npm || sh tools/setup.sh npm
    status=0
    sh tools/npm.sh web && sh tools/npm.sh tests/web || status=$?
    if [ $status -eq 3 ] || ! command -v chromium-headless-shell; then
        echo 'no node 20 with npm, no connection to fetch packages with, or no browser'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    [ $status -eq 0 ] && (cd web && npm run --silent check)
    count_one $?
    [ $status -eq 0 ] && configure build gcc -Dtests=enabled && ninja -C build weir || return 1
    {
        # A dot for each test, and behind them what failed, with what was expected and received.
        tests/web/run.sh --reporter=dot || status=1
        tests/web/serve.sh build/weir "$logs/web-serve.log" --reporter=dot || status=1
        if command -v firefox-esr; then
            in_firefox || status=1
        else
            echo 'no firefox-esr to open the page with, too'
            echo '0 passed, 0 failed, 1 skipped'
        fi
    } >"$logs/web-pages.log" 2>&1
    tail -n 200 "$logs/web-pages.log"
    awk '/^ +[0-9]+ (passed|flaky)/ { passed += $1 } /^ +[0-9]+ failed/ { failed += $1 }
        /^# pass / { passed += $3 } /^# (fail|cancelled) / { failed += $3 }
        END { print passed + 0 " passed, " failed + 0 " failed" }' "$logs/web-pages.log"
    return $status
}

# weir chat in a terminal, with keys that are pressed and a screen that is looked at.
part_terminal()
{
    if ! command -v tmux; then
        echo 'no tmux to type into'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    configure build gcc -Dtests=enabled && ninja -C build weir &&
        python3 -B tests/terminal/test_chat.py build/weir "$logs/terminal"
}

# What the pages of docs say weir prints and answers, it does.
part_docs()
{
    configure build gcc -Dtests=enabled && ninja -C build weir &&
        python3 -B tools/transcripts.py build/weir docs/profiling.md &&
        python3 -B tools/transcripts.py build/weir docs/server.md
    count_one $?
}

# That every row runs; figures are for `make bench` on a machine without other work.
part_bench()
{
    ninja -C build bench/weir-micro tests/weir-kernels &&
        build/bench/weir-micro --samples 1 memory pool rng codec encode row &&
        build/tests/weir-kernels --time --op rms_norm >"$logs/kernels.txt"
    count_one $?
}

# What no noise hides: a step's instructions, compared with those that were recorded.
part_instructions()
{
    configure build gcc -Dtests=enabled && ninja -C build && tools/instructions.sh build
}

# Leaves leaks out, as a skipped check, where the system forbids what the search for them needs: it
# stops all threads by ptrace.
choose_leak_check()
{
    echo 'int main(void) { return 0; }' >"$logs/leak.c"
    gcc -fsanitize=address -o "$logs/leak" "$logs/leak.c" || return 1
    ASAN_OPTIONS=detect_leaks=1
    if ! ASAN_OPTIONS=$ASAN_OPTIONS "$logs/leak"; then
        ASAN_OPTIONS=detect_leaks=0
        echo 'leaks cannot be looked for on this system'
        echo '0 passed, 0 failed, 1 skipped'
    fi
    export ASAN_OPTIONS
}

part_asan()
{
    choose_leak_check && configure build-asan gcc -Dtests=enabled -Db_sanitize=address,undefined \
        -Dbuildtype=debugoptimized && ninja -C build-asan || return 1
    run_tests build-asan
    status=$?
    load_and_faults build-asan 1 1 $brief || status=1
    return $status
}

# The tests in which threads meet: the pool, steps of both backends with up to five threads, and a
# server with many clients.
part_tsan()
{
    configure build-tsan gcc -Dtests=enabled -Db_sanitize=thread -Dbuildtype=debugoptimized &&
        ninja -C build-tsan weir tests/weir-test || return 1
    export TSAN_OPTIONS=halt_on_error=1
    status=0
    for tests in base_pool_ equal_threads_ schedules_ serve_alike_ten serve_limits_ served_; do
        build-tsan/tests/weir-test --program build-tsan/weir $tests || status=1
    done
    python3 -B tests/serve/soak.py build-tsan/weir "$logs/build-tsan-soak" $brief || status=1
    return $status
}

# Tests that draw their cases, for LONG_MINUTES minutes, and many clients of a server for as many
# more, with seeds from LONG_SEED on, or from any.
# The line of a failure has the seed that repeats it.
part_long()
{
    configure build gcc -Dtests=enabled && ninja -C build || return 1
    seed=${LONG_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    printf 'seeds from %s on... ' "$seed" >&3
    status=0
    build/tests/weir-test --minutes "${LONG_MINUTES:-10}" --seed "$seed" --program build/weir \
        schedules_ isolation_ rewind_ drawn_ kernels_drawn_ || status=1
    load_and_faults build 50 "$seed" --seconds $((60 * ${LONG_MINUTES:-10})) || status=1
    return $status
}

# Without a failure the fuzzer's log is of no interest; with one, it names the input.
fuzz_one()
{
    name=$1
    mkdir -p "build-fuzz/corpus/$name" "build-fuzz/found"
    seeds=tests/fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=
    build-fuzz/tests/fuzz/fuzz-"$name" -max_total_time="$FUZZ_SECONDS" -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="build-fuzz/found/$name-" "build-fuzz/corpus/$name" \
        $seeds
}

# Waits for the fuzzers of $running, and counts them.
end_fuzzers()
{
    for fuzzer in $running; do
        if wait "${fuzzer#*=}"; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
            cat "$logs/fuzz-${fuzzer%=*}.log"
        fi
    done
    running=
}

part_fuzz()
{
    names=$(grep -vE '^(#|[[:space:]]*$)' tests/fuzz/targets.txt)
    if [ -z "$names" ]; then
        echo '0 passed, 0 failed'
        return 0
    fi
    choose_leak_check && configure build-fuzz clang -Dfuzz=true -Dtests=disabled \
        -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized &&
        ninja -C build-fuzz fuzzers || return 1
    good=0
    bad=0
    running=
    for name in $names; do
        fuzz_one "$name" >"$logs/fuzz-$name.log" 2>&1 &
        running="$running $name=$!"
        [ $(echo "$running" | wc -w) -lt "$(nproc)" ] || end_fuzzers
    done
    end_fuzzers
    echo "$good passed, $bad failed"
    [ $bad -eq 0 ]
}

# A trace of each mode, two contexts each; the prompt in three steps.
write_traces()
{
    model=tests/data/golden/nanomoe-f32.gguf
    for mode in decode prefill verify; do
        length=
        [ $mode != prefill ] || length='-p 150'
        # shellcheck disable=SC2086 # two words, or none
        build/weir profile $model -o trace --mode $mode $length -ub 64 --ctx 5,30 -t 2 -r 3 \
            >"$logs/$mode.json" || return 1
    done
}

# Two threads with one number overlap: that must be seen.
find_traces()
{
    sed 's/"tid": 10001/"tid": 10000/' $logs/decode.json >$logs/overlapping.json
    if node tools/perfetto/check.mjs $logs/overlapping.json >$logs/overlapping.txt; then
        echo 'the reader understood a trace whose slices overlap'
        return 1
    fi
    node tools/perfetto/check.mjs $logs/decode.json $logs/prefill.json $logs/verify.json
}

# That Perfetto's own reader finds in a trace what the file says, slice by slice.
part_trace()
{
    command -v node || sh tools/setup.sh nodejs
    command -v npm || sh tools/setup.sh npm
    status=3
    if command -v node npm; then
        status=0
        tools/perfetto/fetch.sh || status=$?
    fi
    if [ $status -eq 3 ]; then
        echo 'no node and npm, or no connection to fetch the reader with'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    [ $status -eq 0 ] && configure build gcc -Dtests=enabled && ninja -C build weir &&
        write_traces && find_traces
}

# The program for 64-bit Arm, by a cross compiler and an emulator: all kernels, and whole models.
test_arm()
{
    out=build-arm/tests
    qemu-aarch64 $out/weir-kernels >"$logs/arm-kernels.txt" &
    qemu-aarch64 $out/weir-test --program build-arm/weir base_ codec_ equal_ phases_ probe_
    status=$?
    wait $! || status=1
    grep -E 'FAIL|passed' "$logs/arm-kernels.txt"
    return $status
}

part_arm()
{
    if [ "$(uname -m)" = aarch64 ]; then
        echo 'this machine is one: the other parts are for 64-bit Arm'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    if ! sh tools/setup.sh arm || ! command -v aarch64-linux-gnu-gcc qemu-aarch64; then
        echo 'no compiler and emulator for 64-bit Arm'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    configure build-arm gcc --cross-file tools/aarch64.ini -Dtests=enabled &&
        ninja -C build-arm weir tests/weir-test tests/weir-kernels && test_arm
}

# Installs a build folder below `root`, and sets `flags` and `model`: install_below DIR ROOT
install_below()
{
    root=$2
    rm -rf "$root"
    DESTDIR=$root meson install -C "$1" --no-rebuild || return 1
    pc=$(find "$root" -name weir.pc)
    flags=$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$(dirname "$pc") \
        pkg-config --cflags --libs weir) || return 1
    model=$(find "$root" -name '*.gguf')
}

# Programs of others, by the flags that pkg-config gave.
use_library()
{
    gcc -std=c11 -Wall -Wextra -Werror -o "$root/main" tests/install/main.c $flags || return 1
    # By the library, and by the program: the same bytes.
    "$root/main" "$model" >"$root/bytes" || return 1
    bytes=$(awk '$1 == "weights" { print $2 }' "$root/bytes")
    program=$(find "$root" -path '*/bin/weir')
    "$program" profile "$model" --ctx 1000 --dry-run -o json |
        grep "\"weights\": {\"read_bytes\": $bytes," || return 1
    # A conversation of two messages: an answer to each.
    gcc -std=c11 -Wall -Wextra -Werror -o "$root/chat" examples/chat.c $flags || return 1
    printf 'Hello, my name is Nadia.\nWho are you?\n' | "$root/chat" "$model" >"$root/answers" &&
        [ "$(grep -c '[a-z]' "$root/answers")" -ge 2 ] || return 1
    # Two texts in each step: what the program makes of each of them.
    gcc -std=c11 -Wall -Wextra -Werror -o "$root/together" examples/together.c $flags &&
        "$root/together" "$model" 'Once there was a' 'The miller said:' >"$root/texts" || return 1
    for prompt in 'Once there was a' 'The miller said:'; do
        "$program" run "$model" -p "$prompt" -n 24 --temp 0 --spec-type none || return 1
    done >"$root/alone"
    diff "$root/texts" "$root/alone" || return 1
    # The installed model, and no other: the message tells which it is.
    "$program" run -p Once -n 8 2>"$root/messages" && grep "this is $root/" "$root/messages"
}

# What a shared library shows is weir.h, and its users link it and nothing behind it.
use_shared_library()
{
    library=$(find "$root" -name 'libweir.so')
    [ -n "$library" ] && [ -z "$(find "$root" -name 'libweir*.a')" ] || return 1
    nm -D --defined-only "$library" | awk '{ print $NF }' | sort >"$root/exported"
    tr '\n' ' ' <include/weir.h | grep -oE 'WEIR_API [^;(]*\(' | grep -oE 'weir_[a-z0-9_]+\($' |
        tr -d '(' | sort >"$root/declared"
    diff "$root/declared" "$root/exported" || return 1
    case $flags in *jansson*) return 1 ;; esac
    LD_LIBRARY_PATH=$(dirname "$library")
    export LD_LIBRARY_PATH
    use_library
}

part_install()
{
    configure build gcc -Dtests=enabled && ninja -C build &&
        install_below build "$PWD/$logs/root" && use_library
    count_one $?
    configure_clang && ninja -C build-clang &&
        install_below build-clang "$PWD/$logs/root-shared" && (use_shared_library)
    count_one $?
}

# ---- running them ----------------------------------------------------------------------------

# Sums the lines "N passed, N failed[, N skipped]" of a log, as three numbers.
counts()
{
    awk '/^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
            passed += $1; failed += $3; skipped += $5
        }
        END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

run_part()
{
    part=$1
    log=$logs/$part.log
    printf '%-12s ' "$part"
    began=$(date +%s%N)
    part_"$part" >"$log" 2>&1
    status=$?
    took=$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { printf "%.1f", ns / 1e9 }')
    set -- $(counts "$log")
    if [ $status -ne 0 ] && [ "$2" -eq 0 ]; then
        set -- "$1" 1 "$3" # it broke down before it could count
    fi
    printf '%6s s   %s passed, %s failed, %s skipped\n' "$took" "$1" "$2" "$3"
    if [ "$2" -gt 0 ]; then
        tail -n 60 "$log" | sed 's/^/    /'
        broken="$broken $part"
    fi
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

# The lines of a log that say what failed, for who sees no more than the end of the output.
tell_faults()
{
    echo "$1:"
    grep -hE 'FAIL|[Ee]rror|WARNING: |Expected|Received|^  [0-9]+\) |^not ok ' "$logs/$1.log" |
        cut -c 1-160 | head -n 12 | sed 's/^ */    /'
}

mkdir -p "$logs"
broken=
exec 3>&1 # for what a part says before it ends
# Not `arm`: four minutes of emulation more would be too long for every change.
[ $# -gt 0 ] || set -- rooms style train gcc symbols docs trace page serve proxy load web terminal \
    bench instructions clang asan tsan fuzz install
for name in "$@"; do
    run_part "$name"
done
for name in $broken; do
    tell_faults "$name"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
