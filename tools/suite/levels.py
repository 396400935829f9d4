"""Kernel and golden tests once more at each lower level of the CPU."""
import json
import re

from suite import core, gtest

BIN = core.BUILD / "release/bin"
# Half-precision scales differ from bfloat16 ones by a conversion alone.
LEFT_OUT = r"^(?!.*_f16$)"
PROGRAMS = (("kernels", LEFT_OUT), ("golden", "LmGolden"))


def lower_levels(context):
    """Levels that this CPU can run, without the one that the others test."""
    status, output = core.run(
        [BIN / "skua", "show", "--cpu", "--json"],
        env={**context.env, "SKUA_CPU": ""},
    )
    shown = json.loads(output) if status == 0 else {}
    return [n for n in shown.get("levels", []) if n != shown.get("level")]


def runs(context):
    """(prefix, program, match, environment) of each program and level."""
    for level in lower_levels(context):
        for name, match in PROGRAMS:
            program = BIN / f"test_{name}"
            yield f"level/{level}/{name}", program, match, {"SKUA_CPU": level}


def run(context):
    for prefix, program, match, env in runs(context):
        forced = core.Context(
            context.report, context.pattern, {**context.env, **env}
        )
        gtest.run_program(forced, prefix, program, match)


def list_tests(context):
    return [
        f"{prefix}/{test}"
        for prefix, program, match, env in runs(context)
        for test in gtest.list_tests(program) or []
        if re.search(match, test)
    ]
