#!/usr/bin/env bash
# bench/compare.sh BASE [options]: builds the commit BASE beside the working
# tree and measures both in turn; ends with 1 where a test became more than
# 5 % slower. Options are those of bench/compare.py.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
base=$(git -C "$root" rev-parse --verify "$1^{commit}")
shift
build=$root/build/release
tree=$root/build/bench-base
log=$root/build/bench.log

build_both() {
  [ -f "$build/build.ninja" ] || (cd "$root" && cmake --preset release)
  cmake --build "$build" --target skua skua_bench
  if [ -e "$tree/.git" ]; then
    git -C "$tree" checkout --quiet --detach "$base"
  else
    git -C "$root" worktree prune
    git -C "$root" worktree add --quiet --detach "$tree" "$base"
  fi
  [ -f "$tree/bench/CMakeLists.txt" ] ||
    { echo "compare: $base has no bench/"; return 1; }
  local deps
  deps=$(sed -n 's/^SKUA_DEPS_DIR:PATH=//p' "$build/CMakeCache.txt")
  (cd "$tree" && cmake --preset release -DSKUA_TESTS=OFF \
    -DSKUA_DEPS_DIR="$deps")
  cmake --build "$tree/build/release" --target skua skua_bench
}

mkdir -p "$root/build"
# Not on the left of ||, where a failure inside would not end it.
set +e
(set -e; build_both) > "$log" 2>&1
status=$?
set -e
[ $status -eq 0 ] || { tail -n 40 "$log" >&2; exit 2; }
exec python3 "$root/bench/compare.py" --base "$tree/build/release" \
  --build "$build" "$@"
