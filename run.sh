#!/usr/bin/env bash
# ./run.sh "question": sets up, builds, gets the default model, answers.
# Later runs go straight to the program unless a source file changed.
# Everything but the answer goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
program=$root/build/release/bin/skua
home=${SKUA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/skua}
model=$home/models/SmolLM2-135M-Instruct.Q4_1.gguf

# Prints one path if anything that the build reads is newer than the stamp.
changed_since() {
  (cd "$root" && find src include cmake tools/requirements CMakeLists.txt \
    CMakePresets.json -newer "$1" -print -quit)
}

set_up() {
  local stamp=$root/build/setup.stamp list=$root/tools/debian-packages.txt
  cmp -s "$list" "$stamp" && return
  "$root/tools/setup.sh"
  cp "$list" "$stamp"
}

build() {
  local stamp=$root/build/run.stamp log=$root/build/run.log
  if [ -x "$program" ] && [ -f "$stamp" ] &&
    [ -z "$(changed_since "$stamp")" ]; then
    return
  fi
  set_up
  echo "run: building (log: build/run.log)" >&2
  touch "$stamp.new"
  (cd "$root" && cmake --preset release && ninja -C build/release skua) \
    > "$log" 2>&1 ||
    { tail -n 40 "$log" >&2; echo "run: the build failed" >&2; exit 1; }
  mv "$stamp.new" "$stamp"
}

build
[ -f "$model" ] || python3 "$root/tools/get_model.py" smollm2 > /dev/null
exec "$program" run "$@"
