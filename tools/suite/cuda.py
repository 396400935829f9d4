"""The CUDA flavour: configures, compiles and links (needs no GPU)."""
from suite import core
from suite.build import build

NAME = "cuda/build"


def list_tests():
    return [NAME]


def run(context, asked):
    """A cold build takes minutes: made when asked for, kept up later."""
    if not context.wants(NAME):
        return
    if not asked and not (core.BUILD / "cuda/build.ninja").exists():
        context.report.skip(NAME, "no build/cuda yet, --cuda makes it")
        return
    build(context, "cuda", [], "nvcc")
