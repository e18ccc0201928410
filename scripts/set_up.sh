#!/usr/bin/env bash
# Make the environment of `make run` (base) or `make test` (dev), with the versions of
# constraints.txt. Every way it can go wrong ends in one line that says what to do.
set -eu -o pipefail

venv=$1
flavour=$2
python=${3:-}

stop() {
    printf 'habitue: %s\n' "$1" >&2
    exit 1
}

recent_enough() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    if [ -n "$python" ]; then
        recent_enough "$python" ||
            stop "PYTHON=$python is not a Python 3.11 to 3.13; name one: make run PYTHON=/usr/bin/python3.11"
        return
    fi
    for name in python3.11 python3.12 python3.13 python3 python; do
        if recent_enough "$name"; then
            python=$name
            return
        fi
    done
    stop "no Python 3.11 to 3.13 found ($(python3 --version 2>/dev/null || echo 'no python3 at all')); install one: apt-get install python3.11 python3.11-venv"
}

make_venv() {
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
        recent_enough "$venv/bin/python"; then
        return
    fi
    find_python
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "this Python has no venv module; install it: apt-get install $(basename "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')")-venv"
    echo "habitue: making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv" ||
        stop "could not make $venv (see above); is the disk full, or the folder not yours?"
    # Python 3.11 puts a setuptools there that nothing uses.
    "$venv/bin/python" -m pip uninstall -qq --yes setuptools 2>/dev/null || true
}

install() {
    local what=.
    [ "$flavour" = base ] || what='.[postgres,redis,deep,tune,curves,mlflow,dev]'
    echo "habitue: installing pinned dependencies ($flavour), about a minute the first time"
    # --no-compile: byte code is written for what is imported, when it is: 25 s and 130 MB less.
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-compile \
        --constraint constraints.txt --editable "$what" ||
        stop "pip could not install the dependencies (see above); is the package index within reach? Behind a proxy, set HTTPS_PROXY or PIP_INDEX_URL"
}

check_libraries() {
    local problem
    # Byte code of what serves is written on the way, also where Python is told not to.
    problem=$(env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -c \
        'import lightgbm, faiss, implicit, numba, polars, habitue.app, habitue.api.serve, habitue.console.backroom' 2>&1) && return
    case $problem in
    *libgomp*) stop "the system library libgomp is missing; install it: apt-get install libgomp1" ;;
    *libstdc++*) stop "the system library libstdc++ is missing; install it: apt-get install libstdc++6" ;;
    esac
    stop "an installed library does not load: $(tail -n 1 <<<"$problem"); make clean, then try again"
}

make_venv
install
check_libraries
touch "$venv/.installed-base" "$venv/.installed-$flavour"
