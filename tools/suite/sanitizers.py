"""Sanitizer builds and what runs in them: unit tests of everything that reads
bytes from outside, of the kernels and of threads, short runs of the fuzz
targets."""
import functools
import shutil

from suite import core, gtest
from suite.build import build

# The layers without MLX: they read the files and the text.
READERS = ("base", "text")
# Of the 78 kinds of matrices those with every number of bits and every group.
# Types of scales differ by a conversion alone.
MATRICES = r"^(?!.*affine((?!4|._group64)|.*_f(16|32)$))"
THREADS = (
    r"^(Kernels|Expert|KvCacheMemory|LargestOf)"
    r"|/(Experts|RoundedLinear|AttentionBits|HeldPart)"
)
# preset -> {program: which of its tests}
TESTS = {
    "asan": {"base": "", "text": "", "kernels": MATRICES},
    "tsan": {"base": "Thread", "kernels": THREADS},
}
CLANG = "clang++-19"
FUZZ_SECONDS = 5
FUZZ_LIMIT_MB = 1024
OPTIONS = {
    # llvm-symbolizer is found by the path alone.
    "PATH": "/usr/lib/llvm-19/bin:" + core.os.environ.get("PATH", ""),
    "ASAN_OPTIONS": "max_allocation_size_mb=2048:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # MLX comes compiled, without calls of the sanitizer.
    "TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1",
}


def unit_programs(names):
    """Those of the test programs that have sources."""
    unit = core.ROOT / "tests/unit"
    return [n for n in names if any((unit / n).glob("*.cpp"))]


def fuzz_targets():
    return sorted(p.stem for p in (core.ROOT / "fuzz").glob("*.cpp"))


def with_options(context):
    env = {**context.env, **OPTIONS}
    return core.Context(context.report, context.pattern, env)


def runs(context, preset):
    """What the programs of a preset's build are to run."""
    for name in unit_programs(TESTS[preset]):
        program = core.BUILD / f"{preset}/bin/test_{name}"
        match = TESTS[preset][name]
        yield gtest.Run(context, f"{preset}/{name}", program, match)


def test_targets(preset):
    return [f"test_{n}" for n in unit_programs(TESTS[preset])]


def run_asan(context):
    fuzz = fuzz_targets()
    targets = test_targets("asan") + [f"fuzz_{n}" for n in fuzz]
    if not build(context, "asan", targets, CLANG):
        return
    if context.may_want("asan"):
        gtest.run_all(runs(with_options(context), "asan"))
    core.side_by_side(
        functools.partial(run_fuzz, context, name)
        for name in fuzz
        if context.wants(f"fuzz/{name}")
    )


def seeds(name):
    """Folders of sample inputs: committed ones and the test assets."""
    folders = [
        core.ROOT / "fuzz/corpus" / name,
        core.assets() / "hostile" / name,
    ]
    return [folder for folder in folders if folder.is_dir()]


def run_fuzz(context, name):
    work = core.BUILD / "fuzz" / name
    shutil.rmtree(work / "found", ignore_errors=True)
    for folder in (work / "corpus", work / "found"):
        folder.mkdir(parents=True, exist_ok=True)
    status, output = core.run(
        [
            core.BUILD / f"asan/bin/fuzz_{name}",
            f"-max_total_time={FUZZ_SECONDS}",
            f"-rss_limit_mb={FUZZ_LIMIT_MB}",
            *("-timeout=10", "-verbosity=0", "-seed=1", "-max_len=65536"),
            f"-artifact_prefix={work}/found/",
            *(work / "corpus", *seeds(name)),
        ],
        env=OPTIONS,
    )
    if status == 0:
        context.report.ok(f"fuzz/{name}")
    else:
        context.report.fail(f"fuzz/{name}", core.last_lines(output, 60))


def run_tsan(context):
    if build(context, "tsan", test_targets("tsan"), CLANG):
        gtest.run_all(runs(with_options(context), "tsan"))


def run_limited(context):
    """Hostile input again, without sanitizers, in 1 GiB of address space."""
    gtest.run_all(
        gtest.Run(
            context,
            f"limited/{name}",
            core.BUILD / f"release/bin/test_{name}",
            "(?i)hostile",
            1 << 30,
        )
        for name in unit_programs(READERS)
    )


def list_tests(context):
    names = ["asan/build", "tsan/build"]
    names += [f"fuzz/{name}" for name in fuzz_targets()]
    for preset in TESTS:
        names += gtest.list_runs(runs(with_options(context), preset))
    return names
