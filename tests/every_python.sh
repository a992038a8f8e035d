#!/usr/bin/env bash
# The unit tests on other supported Pythons of this machine, each in a venv of its own: on all of
# them, or on those that are named as arguments. After --install the venvs are made, and no more.
set -euo pipefail
cd "$(dirname "$0")/.."

action=try_python
if [ "${1:-}" = --install ]; then
  action=install
  shift
fi
own=$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

find_python() {
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c \
      "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

install() {
  venv=".venv-$1"
  if [ ! -e "$venv/.installed" ] || [ pyproject.toml -nt "$venv/.installed" ]; then
    "$2" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$venv/bin/python" -m pip install --quiet --editable . --group test
    touch "$venv/.installed"
  fi
}

try_python() {
  install "$@"
  echo "Python $1:"
  # How the modules import each other is the same everywhere.
  "$venv/bin/python" -m pytest -q -n auto -p no:cacheprovider tests/unit \
    --ignore tests/unit/test_architecture.py
}

# Side by side, for what one waits the other computes.
running=()
for version in ${@:-3.11 3.12 3.13}; do
  [ "$version" = "$own" ] && continue
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    echo "Python $version: not on this machine"
    continue
  fi
  "$action" "$version" "$python" &
  running+=($!)
done
for one in ${running[@]+"${running[@]}"}; do
  wait "$one"
done
