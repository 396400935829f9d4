#!/usr/bin/env bash
# Sets up, builds, runs every test; ends with 'N passed, N failed, N skipped'.
# Options are those of tools/run_tests.py.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh --test
cmake --preset release > build/configure.log 2>&1 ||
  { cat build/configure.log >&2; exit 1; }
# What comes over the network comes during the build. The tests that lack it
# are skipped, with a reason.
{
  python3 tools/get_model.py smollm2 gemma3-270m > /dev/null ||
    echo "test: going on without the models" >&2
  python3 tools/run_tests.py --only 'fixtures/*' > build/fixtures.log 2>&1
} &
ninja -C build/release all skua_bench
wait
exec python3 tools/run_tests.py "$@"
