#!/usr/bin/env bash
# bootstrap.sh PYTHON VENV: check what a build of hardy needs, then create the virtual environment VENV.
#
# Whatever the system lacks is named all at once, with the one command that installs it, and the exit
# status is 1. Nothing is created then.
set -euo pipefail

python=${1:-python3}
venv=${2:-.venv}
[ "$(id -u)" = 0 ] && apt="apt-get install" || apt="sudo apt-get install"

missing=()  # what is missing, in words
packages=() # the Debian and Ubuntu packages that have it

lack() { # WHAT PACKAGE
  missing+=("$1")
  packages+=("$2")
}

stop_if_lacking() {
  [ ${#missing[@]} -eq 0 ] && return
  {
    echo "hardy cannot be built here yet. Missing:"
    printf '  - %s\n' "${missing[@]}"
    echo "On Debian and Ubuntu this installs it:"
    echo "  $apt ${packages[*]}"
    echo "Another Python is taken with:  make PYTHON=/path/to/python3.12 TARGET"
  } >&2
  exit 1
}

[ "$(uname -s)" = Linux ] || { echo "hardy runs on Linux only; this is $(uname -s)." >&2; exit 1; }

# It is run, not looked up: version managers leave names on the PATH that only print an error.
if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
  lack "a Python that runs: '$python' does not" "python3 python3-venv python3-dev"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
  lack "Python 3.10 or newer: '$python' is $version" "python3 python3-venv python3-dev"
else
  # Debian names the packages of its own Python python3-venv and so on, those of others python3.X-venv.
  prefix=python$version
  if [ "$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
    prefix=python3
  fi
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    lack "the modules venv and ensurepip of Python $version" "$prefix-venv"
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -e "$header" ] || lack "the headers of Python $version ($header)" "$prefix-dev"
fi

read -r compiler _ <<<"${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")' 2>/dev/null || echo cc)}"
if ! command -v "$compiler" >/dev/null; then
  lack "a C compiler ('$compiler')" "gcc libc6-dev"
elif ! "$compiler" -fsyntax-only -x c - <<<'#include <pthread.h>' 2>/dev/null; then
  lack "the headers of the C library (pthread.h)" "libc6-dev"
fi
command -v make >/dev/null || lack "make" "make"
stop_if_lacking

# A venv whose interpreter is gone or of another version is made anew.
if [ "$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$version" ]; then
  "$python" -m venv --clear "$venv"
fi
