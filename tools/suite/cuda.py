"""The CUDA flavour: configures, compiles and links (needs no GPU)."""
from suite import core

NAME = "cuda/configures_compiles_and_links"


def list_tests():
    return [NAME]


def run(context, asked):
    if not context.wants(NAME):
        return
    nvcc = core.find_tool("nvcc")
    if not nvcc:
        context.report.skip(NAME, "no nvcc here")
        return
    folder = core.BUILD / "cuda"
    if not asked and not (folder / "build.ninja").exists():
        context.report.skip(NAME, "build/cuda is not there yet; ask by --cuda")
        return
    for command in (
        ["cmake", "--preset", "cuda"],
        ["ninja", "-C", folder, f"-j{core.JOBS}"],
    ):
        status, output = core.run(command, cwd=core.ROOT, timeout=1800)
        if status != 0:
            context.report.fail(NAME, core.last_lines(output, 60))
            return
    context.report.ok(NAME)
