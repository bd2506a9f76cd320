#!/usr/bin/env bash
# test_all.sh VENV: `make test-only` on each Python from 3.10 to 3.13 that is installed, in VENV-3.X.
set -euo pipefail

venv=$1
results=()
status=0

# The path of a Python of that version that really runs: from the PATH, else from pyenv. Version
# managers put names on the PATH that only print an error, so each candidate is run.
find_python() { # VERSION
  local candidate pyenv_root
  pyenv_root=$(pyenv root 2>/dev/null || true)
  for candidate in "python$1" ${pyenv_root:+"$pyenv_root"/versions/"$1".*/bin/python}; do
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
      echo "$candidate"
      return
    fi
  done
}

for version in 3.10 3.11 3.12 3.13; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    results+=("Python $version: not installed")
    continue
  fi
  echo "=== Python $version ($python)"
  if make --no-print-directory test-only PYTHON="$python" VENV_TEST="$venv-$version"; then
    results+=("Python $version: passed")
  else
    results+=("Python $version: FAILED")
    status=1
  fi
done
printf '%s\n' "=== make test-all" "${results[@]}"
exit $status
