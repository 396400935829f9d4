"""Builds another preset beside the release one."""
from suite import core


def build(context, preset, targets, compiler, name=None):
    """True once the targets are built; else a failure, or a skip where the
    compiler or the network is absent, has been reported as PRESET/build,
    or as name."""
    name = name or f"{preset}/build"
    if not core.find_tool(compiler):
        context.report.skip(name, f"no {compiler} here")
        return False
    # Another place for unpacked wheels serves several checkouts.
    deps = core.os.environ.get("SKUA_DEPS_DIR")
    more = [f"-DSKUA_DEPS_DIR={deps}"] if deps else []
    configure = ["cmake", "--preset", preset, *more]
    make = ["ninja", "-C", core.BUILD / preset, f"-j{core.JOBS}", *targets]
    for command in (configure, make):
        status, output = core.run(command, cwd=core.ROOT, timeout=1800)
        # Where PATH finds another compiler CMake forgets the preset, with it
        # the sanitizers.
        if "require your cache to be deleted" in output:
            status, output = core.run([*configure, "--fresh"], cwd=core.ROOT)
        if "with pip" in output and "Could not download" in output:
            context.report.skip(name, core.last_lines(output, 1))
            return False
        if status != 0:
            context.report.fail(name, core.last_lines(output, 60))
            return False
    if context.wants(name):
        context.report.ok(name)
    return True
