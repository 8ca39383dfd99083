#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks what can be checked of the style without building: tools/style.sh. Prints the faults, one
# line for each check, and "N passed, N failed" last.
#
# shellcheck disable=SC2046,SC2086,SC2013 # lists of words; no blanks in file names
set -u
cd "$(dirname "$0")/.." || exit 2

passed=0
failed=0

check()
{
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok   $what"
    else
        failed=$((failed + 1))
        echo "FAIL $what"
    fi
}

# Every file that a person writes: not test data. A source archive has no git to ask.
all_files()
{
    if [ -e .git ] && git ls-files >/dev/null 2>&1; then
        git ls-files -co --exclude-standard
    else
        find . -path './build*' -prune -o -path ./.git -prune -o -type f -print | sed 's|^\./||'
    fi | grep -vE '^tests/(data|fuzz/corpus)/' | sort | while read -r file; do
        [ ! -f "$file" ] || echo "$file"
    done
}

files=$(all_files)
select_files()
{
    printf '%s\n' "$files" | grep -E "$1"
}
sources=$(select_files '^(include|src|tests|bench)/.*\.[ch]$')
headers=$(select_files '^(include|src|tests|bench)/.*\.h$')
scripts=$(select_files '(\.(sh|awk|py|def)|^\.ci/run|^Makefile)$')
manuals=$(select_files '^docs/man/.*\.[1-9]$')

layout()
{
    clang-format --dry-run -Werror $sources
}

# Succeeds if no line of the files matches; prints those that do.
no_line()
{
    pattern=$1
    shift
    ! LC_ALL=C grep -nP "$pattern" "$@" /dev/null
}

text_files()
{
    printf '%s\n' "$files" | grep -vE '\.(xz|gguf|bin|png)$'
}

plain_text()
{
    # The Makefile alone needs tabs.
    no_line '[^\x00-\x7f]' $(text_files) && no_line '[ \t\r]$' $(text_files) &&
        no_line '\t' $(text_files | grep -vE '^Makefile$')
}

ends_with_newline()
{
    bad=0
    for file in $(text_files); do
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            echo "$file: no newline at the end"
            bad=1
        fi
    done
    return $bad
}

short_lines()
{
    no_line '^.{101,}$' $sources $(printf '%s\n' "$scripts" | grep -v '\.def$')
}

# The licence is named in the first line, behind "#!" in the second.
licence()
{
    awk 'FNR == 1 { named = 0 }
        /SPDX-License-Identifier: MIT/ { named = 1 }
        FNR == 2 && !named { print FILENAME ": no SPDX line"; bad = 1 }
        END { exit bad }' $sources $scripts
}

no_open_ends()
{
    no_line '\b(TO''DO|FIX''ME|XX''X)\b' $(text_files)
}

unique_names()
{
    ! printf '%s\n' "$sources" | grep '^src/' | sed 's|.*/||' | sort | uniq -d | grep .
}

headers_alone()
{
    bad=0
    for header in $headers; do
        gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -Iinclude -Isrc -Itests \
            -Ibench -x c "$header" || bad=1
    done
    return $bad
}

public_header_in_cxx()
{
    clang -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only include/weir.h
}

lengths()
{
    {
        wc -l $(printf '%s\n' "$sources" | grep '^src/') | grep -v ' total$'
        ctags -x '-DTEST(id)=void test_##id(void)' --fields=+e --kinds-C=f \
            --_xformat='%{input} %{line} %{end} %{name}' $sources
    } | awk -f tools/functions.awk limits=tools/lengths.txt -
}

links()
{
    bad=0
    for page in $(select_files '\.md$'); do
        for target in $(grep -o ']([^)#]*' "$page" | sed 's/^](//' | grep -v '://'); do
            if [ ! -e "$(dirname "$page")/$target" ]; then
                echo "$page: links to $target, which is not there"
                bad=1
            fi
        done
    done
    return $bad
}

manuals_clean()
{
    [ -z "$manuals" ] || mandoc -T lint -W warning $manuals
}

# Kernels are compiled for each level: the vectors' functions that they call, all simd_*.h have, or
# kernel.h in their place. A line is one function of a file.
functions_of_vectors()
{
    grep -E '^static inline ' "$@" | grep -oE 'v[fi]_[a-z0-9_]+' | sort -u
}

primitives()
{
    bad=0
    own=$(functions_of_vectors src/cpu/kernels/kernel.h)
    for name in $(grep -ohE '\bv[fi]_[a-z0-9_]+' src/cpu/kernels/kernel*.[ch] \
        src/cpu/kernels/product.h src/cpu/kernels/unpack.h | sort -u); do
        for file in src/cpu/kernels/simd_*.h; do
            if ! { functions_of_vectors "$file" && printf '%s\n' "$own"; } | grep -qx "$name"; then
                echo "$file: no $name"
                bad=1
            fi
        done
    done
    return $bad
}

# What every cluster knows: kinds of others, as ServiceMonitor, would have the whole file refused.
plain_cluster()
{
    ! grep -HnE '^apiVersion:' deploy/kubernetes.yaml | grep -vE ': *(v1|apps/v1) *$'
}

check 'clang-format' layout
check 'ASCII, no tabs, no blanks at line ends' plain_text
check 'newline at the end of files' ends_with_newline
check 'lines of at most 100 columns' short_lines
check 'SPDX line first' licence
check 'no open ends' no_open_ends
check 'file names are unique' unique_names
check 'headers compile alone' headers_alone
check 'the public header is C++ too' public_header_in_cxx
check 'lengths of functions and files' lengths
check 'levels have the same vector functions' primitives
check 'links in documents' links
check 'manual pages' manuals_clean
check 'deploy/kubernetes.yaml needs nothing that others install' plain_cluster
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
