#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing, and nothing when none is:
#     tools/setup.sh build      what `make` needs
#     tools/setup.sh check      what `make check` needs besides
#     tools/setup.sh trace      what the part `trace` of it needs besides
#     tools/setup.sh arm        what builds and runs programs for 64-bit Arm
#     tools/setup.sh train      what `make train` needs besides
#     tools/setup.sh PACKAGE    one package of the table
set -eu

# Set, package, what it is for. "a|b" is satisfied by either; the first one is installed.
table='
build  make               the front: Makefile
build  gcc                the compiler
build  libc6-dev          the C library
build  meson              the build
build  ninja-build        runs the build
build  libjansson-dev     reads JSON: checkpoints, and the vectors of tests
build  libhwloc-dev       tells cores from hyper-threads
build  libxxhash-dev      digests of what is kept
build  libedit-dev        edits the lines of weir chat
build  libmicrohttpd-dev  HTTP of weir serve
build  pkg-config         finds libraries for the build, and weir for other programs
check  clang              the second compiler, and the fuzz targets
check  libclang-rt-14-dev the sanitizers and the fuzzer of clang
check  clang-format       the layout of the source
check  json-schema-test-suite  what JSON schemas mean
check  xz-utils           compressed test data
check  mandoc             checks the manual pages
check  universal-ctags    measures functions
check  binutils           looks for mutable globals and stray exports
check  python3            the independent model that makes reference values
check  python3-numpy      the same
check  valgrind           counts instructions
check  git                the commit in the version
check  chromium-headless-shell  opens the pages of weir profile and weir serve
check  firefox-esr        opens the page of weir serve, too
check  tmux               a terminal for weir chat
check  curl               asks weir serve, as docs/server.md does
check  mawk|gawk          the scripts under tools
trace  nodejs             runs the reader of traces; builds and tests the page of weir serve
trace  npm                fetches the one, and what the other is made with
arm    gcc-aarch64-linux-gnu  the compiler for 64-bit Arm
arm    libc6-dev-arm64-cross  its C library
arm    qemu-user              runs what it makes
arm    libjansson-dev:arm64   reads JSON there
arm    libedit-dev:arm64      edits the lines of weir chat there
arm    libmicrohttpd-dev:arm64  HTTP of weir serve
arm    libhwloc-dev:arm64     tells cores from hyper-threads there
train  python3-torch      the network that learns
train  python3-numpy      files of numbers
train  libopenblas0-pthread the products of torch, which takes 30 times as long without it
'

fail()
{
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# The state is told once for each architecture that has the package.
installed()
{
    case " $(dpkg-query -W -f '${db:Status-Status} ' "$1" 2>/dev/null)" in
    *' installed '*) ;;
    *) return 1 ;;
    esac
}

# Prints the packages of the sets and names given that are not installed.
missing()
{
    printf '%s' "$table" | while read -r set package why; do
        case " $* " in
        *" $set "* | *" ${package%%|*} "*) ;;
        *) continue ;;
        esac
        [ -n "$why" ] || continue
        installed "${package%%|*}" || installed "${package##*|}" || printf '%s ' "${package%%|*}"
    done
}

[ $# -gt 0 ] || fail 'which set? (build, check, trace, arm, train, or a package of the table)'
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo 'setup: not a Debian system; the packages are listed in tools/setup.sh' >&2
    exit 0
fi

needed=$(missing "$@")
[ -n "$needed" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "run as root: apt-get install $needed"
    as_root='sudo'
    if [ ! -t 0 ]; then # nobody to type a password
        as_root='sudo -n'
    fi
    $as_root true || fail "run as root: apt-get install $needed"
fi

# Packages of another architecture need to be asked for.
case $needed in
*:arm64*) $as_root dpkg --add-architecture arm64 ;;
esac

install()
{
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        $needed >"$log" 2>&1 </dev/null
}

echo "setup: installing $needed"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install; then
    # No package lists yet, or lists older than the archive.
    $as_root apt-get update -q >"$log" 2>&1 </dev/null || true
    if ! install; then
        tail -n 5 "$log" >&2
        fail "apt-get could not install $needed"
    fi
fi
