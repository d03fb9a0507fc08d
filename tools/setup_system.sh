#!/bin/sh
# Installs the system packages that are missing: with apt as root or through a sudo that asks nothing, else it prints
# one line that says what to install and exits 4. What counts is the program or header, not who installed it.
#
#   sh tools/setup_system.sh           install what is missing
#   sh tools/setup_system.sh --list    only print it, one package a line
set -eu

missing=''
need() {  # need PACKAGE COMMAND...: COMMAND tells whether the package is there
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has_fuzzer() { ls "$(clang -print-resource-dir)"/lib/*/libclang_rt.fuzzer*.a; }
has_header() { echo "#include <$1>" | gcc -E -I/usr/include/simavr -; }

need gcc command -v gcc
need libc6-dev has_header stdio.h
need make command -v make
need pkg-config command -v pkg-config
need gcc-avr command -v avr-gcc
need binutils-avr command -v avr-size
need avr-libc test -e /usr/lib/avr/include/avr/io.h
need arduino-core-avr test -d /usr/share/arduino/hardware/arduino/avr/cores/arduino
need avrdude command -v avrdude
need simavr command -v simavr
need libsimavr-dev has_header sim_avr.h
need libelf-dev has_header libelf.h
need clang-format command -v clang-format
need clang command -v clang
need libclang-rt-dev has_fuzzer
need clang-tidy command -v clang-tidy
need cppcheck command -v cppcheck

# Debian's python3 comes without what `python3 -m venv` needs; other Pythons bring it along.
"${PYTHON:-python3}" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"

missing=${missing# }
if [ "${1:-}" = --list ]; then
    printf '%s\n' $missing
    exit 0
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: system packages: found no apt-get, need $missing; install them with this system's package manager" >&2
    exit 4
fi
if [ "$(id -u)" = 0 ]; then
    as_root=''
elif sudo -n true >/dev/null 2>&1; then
    as_root='sudo -n'
else
    echo "error: system packages: missing $missing; run \`sudo apt-get install $missing\`" >&2
    exit 4
fi

echo "Installing $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_missing() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing >"$log" 2>&1 </dev/null
}
# A fresh machine has no package lists, or old ones whose files are gone from the mirror.
install_missing || { $as_root apt-get update -qq >"$log" 2>&1 && install_missing; } || {
    echo "error: system packages: apt-get could not install $missing ($(grep '^E:' "$log" | head -n 1)); install them by hand" >&2
    exit 4
}
