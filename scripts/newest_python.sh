#!/usr/bin/env bash
# On the newest of Python 3.14, 3.13 and 3.12 that is found, on PATH or under pyenv, with the newest versions that the
# index gives: every module is imported, the main job runs in its smallest configuration, and a quick part of the tests.
# A model that .venv's Python saves is loaded.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=build/newest_python
roots=("$(pyenv root 2>/dev/null || true)" "${PYENV_ROOT:-}" "$HOME/.pyenv")

find_python() {
  local version python
  for version in 3.14 3.13 3.12; do
    for python in $(type -ap "python$version" || true) $(printf "%s/versions/$version.*/bin/python " "${roots[@]}"); do
      # A shim of pyenv may stand for a version that is not chosen, so each is asked.
      if [ -x "$python" ] && [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = $version ]; then
        echo "$python"
        return
      fi
    done
  done
}

python=$(find_python)
if [ -z "$python" ]; then
  echo "newest Python: only $(python3 --version) found, no 3.14, 3.13 or 3.12; nothing more is tested"
  exit 0
fi
rm -rf $environment
"$python" -m venv $environment
bin=$PWD/$environment/bin
"$bin/python" -m pip install -qq --upgrade pip
"$bin/python" -m pip install -qq --editable '.[test]'
versions=$("$bin/python" -m pip list --format=freeze | grep -E '^(jax|flax|optax|numpy|librosa|orbax-checkpoint)==' | tr '\n' ' ')
echo "newest Python: $("$bin/python" --version) ($python), $versions"
"$bin/python" -I scripts/import_all.py
"$bin/siamese-jax" reproduce --config=smoke --workdir="$(mktemp -d)/smoke" 2>/dev/null | tail -n 1
# With XLA's optimisations, which most tests of the main environment go without.
SIAMESE_JAX_OPTIMISED=1 "$bin/python" -m pytest -q -n 2 tests/test_api.py tests/test_layout.py tests/launch/test_console.py tests/launch/test_common.py \
  tests/stats tests/losses tests/features tests/corpora tests/protocols/test_config.py tests/models tests/recognizer
if [ -x .venv/bin/python ]; then
  SIAMESE_JAX_OTHER_PYTHON=$PWD/.venv/bin/python "$bin/python" -m pytest -q -m long tests/launch/test_recognizer.py \
    -k another_python
fi
