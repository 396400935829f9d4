#!/usr/bin/env bash
# Builds the program and measures it; options are those of bench/run.py.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release
mkdir -p "$root/build"
{
  [ -f "$build/build.ninja" ] || (cd "$root" && cmake --preset release)
  cmake --build "$build" --target skua skua_bench
} > "$root/build/bench.log" 2>&1 ||
  { tail -n 40 "$root/build/bench.log" >&2; exit 1; }
exec python3 "$root/bench/run.py" --build "$build" "$@"
