#!/bin/sh
# Brings what the build needs and is not there yet, then configures a build folder if one is named.
#
#   sh sql/setup.sh                           what sql/quickstart.sh needs
#   sh sql/setup.sh --tests                   also what tests/run.sh needs
#   sh sql/setup.sh [--tests] DIR [-Dx=y...]  and `meson setup` of DIR, or a reconfigure if it is there
#
# It looks first: with everything present it works offline and for any user. apt-get is called only for
# what is missing, adds no recommended packages and removes nothing. Where it could bring Boost only by
# removing a package, or where nobody may install, Boost's headers are unpacked into build-deps/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
deps=$root/build-deps
start=$PWD

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- Looking -----------------------------------------------------------------------------------------

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }  # version, minimum

have_gxx() { have g++ && at_least "$(g++ -dumpfullversion)" 12; }
have_meson() { have meson && at_least "$(meson --version)" 1.0.0; }
have_sqlite() { have pkg-config && pkg-config --exists 'sqlite3 >= 3.32'; }
have_static_lz4() {
    have g++ && have pkg-config && pkg-config --exists liblz4 && [ -f "$(g++ -print-file-name=liblz4.a)" ]
}
have_static_openssl() {
    have g++ && have pkg-config && pkg-config --exists openssl && [ -f "$(g++ -print-file-name=libssl.a)" ] &&
        [ -f "$(g++ -print-file-name=libcrypto.a)" ]
}
have_curl() { have pkg-config && pkg-config --exists 'libcurl >= 7.88'; }  # any flavour's headers
have_static_pugixml() {
    have g++ && have pkg-config && pkg-config --exists pugixml && [ -f "$(g++ -print-file-name=libpugixml.a)" ]
}
have_doctest() { [ -f /usr/include/doctest/doctest.h ] || [ -f /usr/local/include/doctest/doctest.h ]; }
have_php_sqlite() { have php && php -m | grep -qx sqlite3 && php -m | grep -qx pdo_sqlite; }
have_clang_runtime() {
    have clang++ && ls "$(clang++ -print-resource-dir)"/lib/*/libclang_rt.fuzzer*.a >/dev/null 2>&1
}

boost_in() {  # an include folder: is there a Boost with JSON, URL, Asio and Beast?
    for header in version.hpp json/src.hpp url/src.hpp asio.hpp beast/http.hpp; do
        [ -f "$1/boost/$header" ] || return 1
    done
    [ "$(sed -n 's/^#define BOOST_VERSION \([0-9]*\).*/\1/p' "$1/boost/version.hpp")" -ge 108100 ]
}
have_system_boost() {
    for include in ${BOOST_ROOT:+"$BOOST_ROOT/include" "$BOOST_ROOT"} /usr/local/include /usr/include; do
        if boost_in "$include"; then return 0; fi
    done
    return 1
}
have_boost() { have_system_boost || boost_in "$deps/boost/usr/include"; }

need() { package=$1; shift; "$@" || missing="$missing $package"; }  # what to install unless the test succeeds

look() {  # sets `missing`; `boost` and `clang-runtime` get their package's name later, see package_name
    missing=
    need g++ have_gxx
    need meson have_meson
    need ninja-build have ninja
    need pkg-config have pkg-config
    need sqlite3 have sqlite3
    need libsqlite3-dev have_sqlite
    need liblz4-dev have_static_lz4
    need libssl-dev have_static_openssl
    need libcurl4-openssl-dev have_curl
    need libpugixml-dev have_static_pugixml
    need doctest-dev have_doctest  # tests/ is configured with the rest, also where no test is built
    need boost have_boost
    [ "$tests" = no ] && return
    need python3 have python3
    need clang have clang++
    need clang-runtime have_clang_runtime
    need strace have strace
    need openssl have openssl
    need php-cli have php
    need php-sqlite3 have_php_sqlite
}

# --- Installing --------------------------------------------------------------------------------------

may_install() { [ "$(id -u)" -eq 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }
as_root() {
    if [ "$(id -u)" -eq 0 ]; then env DEBIAN_FRONTEND=noninteractive "$@" </dev/null
    else sudo env DEBIAN_FRONTEND=noninteractive "$@"; fi
}
apt_install() {
    as_root apt-get install -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
}

available() { [ -n "$1" ] && apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

boost_package() {  # the oldest libboost1.*-dev from 1.81 on
    for version in $(apt-cache pkgnames libboost1. | sed -n 's/^libboost\(1\.[0-9]*\)-dev$/\1/p' | sort -V); do
        if at_least "$version" 1.81 && available "libboost$version-dev"; then
            echo "libboost$version-dev"
            return
        fi
    done
}
clang_version() {
    if have clang++; then clang++ -dumpversion | cut -d. -f1
    else apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1; fi
}
package_name() {
    case $1 in
        boost) boost_package ;;
        clang-runtime) version=$(clang_version); [ -z "$version" ] || echo "libclang-rt-$version-dev" ;;
        *) echo "$1" ;;
    esac
}

all_available() {
    for thing in $missing; do
        available "$(package_name "$thing")" || return 1
    done
}

unpack_boost() {
    package=$(boost_package)
    [ -n "$package" ] || return 0
    say "unpacking $package into build-deps/, nothing is installed"
    rm -rf "$deps/boost"
    {
        mkdir -p "$deps/boost" && cd "$deps/boost" && apt-get download "$package" &&
            dpkg-deb -x "$package"_*.deb . && rm -f "$package"_*.deb
    } || true
    cd "$start"
}
bring_boost() {
    package=$(boost_package)
    if may_install && apt-get install -s -y --no-install-recommends --no-remove "$package" >/dev/null 2>&1; then
        apt_install "$package" || true
    else
        unpack_boost
    fi
}

bring_packages() {  # all that is missing but Boost; names are known by now
    packages=
    for thing in $missing; do
        [ "$thing" = boost ] || packages="$packages $(package_name "$thing")"
    done
    [ -n "$packages" ] || return 0
    # Lists of another day name files that the mirror no longer has: fetch the lists and try once more.
    # shellcheck disable=SC2086
    apt_install $packages || { as_root apt-get update && apt_install $packages; } || true
}

bring_missing() {
    say "missing:$missing"
    have apt-get || fail "there is no apt-get here; bring them by your system's own means (Boost from 1.81)"
    if may_install; then
        all_available || as_root apt-get update || true  # answers 0 offline too: look() has the last word
        bring_packages
    elif [ "$missing" != " boost" ]; then
        return  # Boost alone would not help
    fi
    case "$missing" in *' boost'*) bring_boost ;; esac
}

complain() {  # what is missing still, as one command to type
    names=
    for thing in $missing; do
        name=$(package_name "$thing" 2>/dev/null) || name=
        [ -n "$name" ] || case $thing in boost) name=libboost1.81-dev ;; *) name=libclang-rt-14-dev ;; esac
        names="$names $name"
    done
    if may_install; then
        fail "still missing:$names
    Can apt-get reach its mirror, and does that carry these packages (Debian 12 or later does)?"
    fi
    fail "missing, and this user may not install. As root:
    apt-get update && apt-get install --no-install-recommends --no-remove$names"
}

# --- Configuring -------------------------------------------------------------------------------------

quietly() { output=$("$@" 2>&1) || { printf '%s\n' "$output" >&2; return 1; }; }

configure() {  # DIR, then options for meson
    build_dir=$1
    shift
    if [ -f "$build_dir/build.ninja" ]; then
        quietly meson setup --reconfigure "$@" "$build_dir" "$root" ||
            fail "cannot reconfigure $build_dir; delete it to start afresh"
        return
    fi
    if ! have_system_boost; then
        printf "[properties]\nboost_root = '%s'\n" "$deps/boost/usr" >"$deps/boost.ini"
        set -- --native-file "$deps/boost.ini" "$@"
    fi
    quietly meson setup "$@" "$build_dir" "$root" || fail "cannot configure $build_dir"
}

tests=no
if [ "${1:-}" = --tests ]; then tests=yes; shift; fi
case ${1:-} in -*) fail "unknown option $1; see the head of sql/setup.sh" ;; esac

look
if [ -n "$missing" ]; then
    bring_missing
    hash -r
    look
    [ -z "$missing" ] || complain
fi
[ $# -eq 0 ] || configure "$@"
