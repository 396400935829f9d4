#!/usr/bin/env python3
"""Runs every test of a built tree and ends with one line of counts.

  --only PATTERN   tests whose name contains PATTERN, or matches it as a glob;
                   of asan, tsan, fuzz, cuda only if PATTERN begins with it
  --no-sanitizers  without the asan and tsan builds and the fuzz targets
  --cuda           compiles the CUDA flavour, instead of only linking it
  --list           names of the tests, without running them
  -v               a line for each passed test too

Names: fixtures/F check/C unit/LAYER/S.T golden/S.T level/L/PROGRAM/S.T
e2e/FILE/C.t limited/LAYER/S.T asan/LAYER/S.T fuzz/TARGET tsan/LAYER/S.T cuda/C
"""
import argparse
import functools
import sys
import traceback

from suite import (
    checks,
    core,
    cuda,
    fixtures,
    gtest,
    levels,
    python_tests,
    sanitizers,
)

BIN = core.BUILD / "release/bin"


def programs():
    """(prefix, program) of the GoogleTest programs of the release build."""
    for path in sorted(BIN.glob("test_*")):
        name = path.name.removeprefix("test_")
        yield ("golden" if name == "golden" else f"unit/{name}"), path


def list_names():
    names = fixtures.list_tests() + checks.list_tests()
    for prefix, path in programs():
        names += [f"{prefix}/{test}" for test in gtest.list_tests(path) or []]
    context = core.Context(core.Report(False), "", {})
    names += levels.list_tests(context)
    for path in python_tests.files():
        tests = python_tests.list_tests(context, path)
        names += [f"e2e/{path.stem}/{test}" for test in tests]
    return names + sanitizers.list_tests(context) + cuda.list_tests()


def run_programs(context):
    found = list(programs())
    if not found:
        context.report.fail("unit", "no test programs in build/release/bin")
    gtest.run_all(gtest.Run(context, *program) for program in found)


def run_python(context):
    core.side_by_side(
        functools.partial(python_tests.run_file, context, path)
        for path in python_tests.files()
    )


def stages(context, options):
    """(label, prefixes of the names it reports, action)"""
    # Unit tests of every build read the fixtures; e2e uses their Python.
    readers = ("fixtures", "unit", "golden", "e2e", "limited", "level", "asan",
               "tsan")
    yield "fixtures", readers, fixtures.run
    yield "checks", ("check",), checks.run
    yield "unit and golden tests", ("unit", "golden"), run_programs
    yield "lower CPU levels", ("level",), levels.run
    yield "end-to-end tests", ("e2e",), run_python
    yield "limited memory", ("limited",), sanitizers.run_limited
    if options.sanitizers:
        yield "asan and fuzz", ("asan", "fuzz"), sanitizers.run_asan
        yield "tsan", ("tsan",), sanitizers.run_tsan
    yield "cuda", ("cuda",), lambda c: cuda.run(c, options.cuda)


def run_stage(context, label, action):
    """A mistake in a stage is a failure; the other stages still run."""
    try:
        action(context)
    except Exception:
        context.report.fail(label, traceback.format_exc())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="PATTERN", default="")
    parser.add_argument(
        "--no-sanitizers", dest="sanitizers", action="store_false"
    )
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()

    if options.list:
        print("\n".join(n for n in list_names() if options.only in n))
        return 0
    report = core.Report(options.verbose)
    env = {
        "SKUA_BUILD": str(core.BUILD / "release"),
        "SKUA_BIN": str(BIN / "skua"),
    }
    context = core.Context(report, options.only, env)
    for label, prefixes, action in stages(context, options):
        if any(context.may_want(prefix) for prefix in prefixes):
            core.timed(label, lambda: run_stage(context, label, action))
    if not options.sanitizers:
        report.skip("asan, fuzz, tsan", "--no-sanitizers")
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
