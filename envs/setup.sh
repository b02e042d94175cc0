#!/usr/bin/env bash
# Sets up the Python environment .venv in the repository's root; safe to repeat, silent work only when needed.
# Usage: envs/setup.sh run|test|bench     (test adds what the tests need, bench what networks are compared with)
# With INSTALL=1 or CI=true it installs missing system packages; otherwise it names them.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-run}
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: ERROR: %s\n' "$*" >&2; exit 1; }

case "$purpose" in
    run) extras="workflow,dft" ;;
    test) extras="workflow,dft,dev" ;;
    bench) extras="workflow,dft,bench" ;;
    *) fail "unknown purpose '$purpose'; expected run, test or bench" ;;
esac

may_install() { [ "${INSTALL:-}" = 1 ] || [ "${CI:-}" = true ]; }

# --- system packages: a Python of 3.11 or later with venv and headers, and a C++ compiler for GPAW's extension
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
    done
    return 1
}

# Prints what is missing, as Debian package names.
missing_packages() {
    local python
    if python=$(find_python); then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
        "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
            2>/dev/null || echo python3-dev
    else
        echo python3 python3-venv python3-dev
    fi
    command -v g++ >/dev/null 2>&1 || echo g++
}

# GPAW on several processes (MPI) is for large cells on clusters; here it is only tested, so going without is no error.
find_mpi() {
    command -v mpic++ >/dev/null 2>&1 && return
    may_install && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 \
        || { say "no mpic++: tests of MPI will be skipped (INSTALL=1 as root installs libopenmpi-dev and openmpi-bin)"; return 1; }
    say "installing system packages for the tests of MPI: libopenmpi-dev openmpi-bin"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libopenmpi-dev openmpi-bin; } \
        >/dev/null 2>&1 || { say "Open MPI could not be installed: tests of MPI will be skipped"; return 1; }
}

# A build that was there before MPI was, in .venv or in pip's cache, is replaced.
build_with_mpi() {
    .venv/bin/python -c 'import sys; from gpaw import cgpaw; sys.exit(not getattr(cgpaw, "have_mpi", False))' && return
    say "building GPAW with MPI"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --force-reinstall \
        "$(grep '^gpaw==' envs/pypi.lock)" || say "GPAW could not be built with MPI: its tests will be skipped"
}

missing=$(missing_packages | xargs)
if [ -n "$missing" ]; then
    [ "$purpose" = run ] || may_install || fail "missing system packages: $missing; install them, or let INSTALL=1 do so"
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null && sudo="sudo -n" \
            || fail "missing system packages; please run: sudo apt-get install $missing"
    fi
    command -v apt-get >/dev/null 2>&1 || fail "missing: $missing (names as in Debian); install them with your package manager"
    say "installing system packages: $missing"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null
    missing=$(missing_packages | xargs)
    [ -z "$missing" ] || fail "still missing after installation: $missing (Python 3.11 or later is needed)"
fi
python=$(find_python) || fail "Python 3.11 or later is needed"

# --- Python packages, at the versions of envs/pypi.lock: only when they or the interpreter changed since the last complete set-up
stamp=.venv/setup-$purpose.stamp
wanted=$({ cat pyproject.toml setup.py envs/setup.sh envs/pypi.lock; "$python" -VV; echo "$extras"; } | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c 'import extensive' 2>/dev/null; then
    say "environment .venv is up to date"
    exit 0
fi
if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "creating the virtual environment .venv"
    rm -rf .venv
    "$python" -m venv .venv
fi
say "installing Python packages ($extras); the first time takes a few minutes"
mpi=no
[ "$purpose" = test ] && find_mpi && mpi=yes
# First what comes without GPAW: what of that has to be built is C.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint envs/pypi.lock --editable ".[workflow]"
# GPAW's sources are C++ for a plain compiler; an MPI wrapper, where there is one, is found by GPAW itself.
if ! command -v mpic++ >/dev/null 2>&1; then
    export CC=g++ CXX=g++
fi
unset GPAW_BUILD_JOBS  # yields a wheel without its extension
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint envs/pypi.lock --editable ".[$extras]"
[ "$mpi" = no ] || build_with_mpi
.venv/bin/python -c 'import torch, gpaw, snakemake, extensive' || fail "the installed packages cannot be imported"
rm -f .venv/setup-*.stamp
echo "$wanted" > "$stamp"
[ "$purpose" = run ] || { { cat pyproject.toml setup.py envs/setup.sh envs/pypi.lock; "$python" -VV; echo "workflow,dft"; } | sha256sum | cut -d' ' -f1 > .venv/setup-run.stamp; }
say "done"
