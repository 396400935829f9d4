"""Kernel and golden tests once more at each lower level of the CPU."""
import json

from suite import core, gtest

BIN = core.BUILD / "release/bin"
# Half-precision scales differ from bfloat16 ones by a conversion alone.
KERNELS = r"^(?!.*_f16$)"
# Tests of this name go through the instruction sets by themselves. What runs
# on the lower ones does not look at the level.
OF_ONE_SET = r"^(?!.*(_f16$|OnEveryInstructionSet))"
GOLDEN = "LmGolden"


def lower_levels(context):
    """Levels that this CPU can run, without the one that the others test."""
    status, output = core.run(
        [BIN / "skua", "show", "--cpu", "--json"],
        env={**context.env, "SKUA_CPU": ""},
    )
    shown = json.loads(output) if status == 0 else {}
    return [n for n in shown.get("levels", []) if n != shown.get("level")]


def runs(context):
    for level in lower_levels(context):
        env = {**context.env, "SKUA_CPU": level}
        forced = core.Context(context.report, context.pattern, env)
        # With tiles these run instead of the products of AVX-512.
        kernels = KERNELS if level == "avx512" else OF_ONE_SET
        for name, match in (("kernels", kernels), ("golden", GOLDEN)):
            prefix = f"level/{level}/{name}"
            yield gtest.Run(forced, prefix, BIN / f"test_{name}", match)


def run(context):
    gtest.run_all(runs(context))


def list_tests(context):
    return gtest.list_runs(runs(context))
