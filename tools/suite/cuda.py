"""The CUDA flavour, which needs no GPU to be built.

The wheels of MLX bring the same headers, so the objects of the release build
are those of the CUDA build too: configuring it, comparing the headers and
linking takes seconds. --cuda compiles it all the same."""
import filecmp
import shlex

from suite import core
from suite.build import build

BUILD, CONFIGURE, LINK = "cuda/build", "cuda/configure", "cuda/link"
FLAVOUR = core.BUILD / "cuda"


def list_tests():
    return [BUILD, CONFIGURE, LINK]


def run(context, compile_all):
    if compile_all:
        build(context, "cuda", [], "nvcc")
        return
    configured = build(context, "cuda", ["help"], "nvcc", CONFIGURE)
    if configured and context.wants(LINK):
        check_link(context)


def check_link(context):
    ours, theirs = (
        include_folder(core.BUILD / preset) for preset in ("release", "cuda")
    )
    changed = changed_headers(ours, theirs)
    if changed:
        context.report.fail(
            LINK, f"headers of {theirs} differ, so compile all with --cuda:\n"
            + "\n".join(changed[:20])
        )
        return
    status, output = core.run(
        ["sh", "-c", link_command()], cwd=core.BUILD / "release"
    )
    if status == 0:
        context.report.ok(LINK)
    else:
        context.report.fail(LINK, core.last_lines(output, 40))


def include_folder(folder):
    """Where a configured build finds mlx/mlx.h."""
    cache = (folder / "CMakeCache.txt").read_text().splitlines()
    config = next(l for l in cache if l.startswith("MLX_DIR:PATH="))
    package = core.pathlib.Path(config.partition("=")[2])
    return package.parents[2] / "include/mlx"


def changed_headers(ours, theirs):
    headers = [path.relative_to(ours) for path in ours.rglob("*.h")]
    if not headers:
        return [f"no headers in {ours}"]
    same, _, _ = filecmp.cmpfiles(ours, theirs, headers, shallow=False)
    return sorted(map(str, set(headers) - set(same)))


def link_command():
    """That of the CUDA flavour; the objects have the same relative paths in
    every build."""
    _, output = core.run(
        ["ninja", "-C", FLAVOUR, "-t", "commands", "bin/skua"]
    )
    program = shlex.quote(str(FLAVOUR / "skua"))
    return output.splitlines()[-1].replace(" -o bin/skua ", f" -o {program} ")
