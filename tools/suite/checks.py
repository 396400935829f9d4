"""Checks of the sources: layers, the contract's tests, formatting, clang's
warnings and tidy."""
import functools
import json
import re
import shlex
import sys

from suite import core

TIDY = "clang-tidy-19"
FORMAT = "clang-format-19"
SCRIPTS = {
    "check/layers": ["tools/check_layers.py"],
    "check/contract": ["tools/contract.py", "--check"],
}


def check_script(context, name):
    status, output = core.run([sys.executable, *SCRIPTS[name]], cwd=core.ROOT)
    if status == 0:
        context.report.ok(name)
    else:
        context.report.fail(name, output)


def check_format(context):
    if not core.find_tool(FORMAT):
        context.report.skip("check/format", f"no {FORMAT} here")
        return
    files = core.tracked_files(".cpp", ".h", ".cu")
    status, output = core.run(
        [FORMAT, "--dry-run", "-Werror", *files], cwd=core.ROOT
    )
    if status == 0:
        context.report.ok("check/format")
    else:
        places = re.findall(r"^(.+?):\d+:\d+: error", output, re.MULTILINE)
        wrong = [core.pathlib.Path(path) for path in sorted(set(places))]
        names = " ".join(str(path.relative_to(core.ROOT)) for path in wrong)
        context.report.fail(
            "check/format", f"run {FORMAT} -i {names}" if wrong else output
        )


def commands():
    """Source file -> (object file, compiler arguments) of the release build."""
    path = core.BUILD / "release/compile_commands.json"
    entries = json.loads(path.read_text())
    found = {}
    for entry in entries:
        source = core.pathlib.Path(entry["file"])
        if source.is_relative_to(core.ROOT / "src"):
            words = shlex.split(entry["command"])
            output = words[words.index("-o") + 1]
            found[source] = (output, clang_arguments(words[1:]))
    return found


# Options of g++ that clang-tidy does not know or need.
GCC_ONLY = {
    "-Winvalid-pch",
    "-Wno-restrict",
    "-Wno-stringop-overflow",
    "-Wno-array-bounds",
    "-fpch-preprocess",
}


def clang_arguments(compiler_words):
    """Without compiler, output and precompiled header: every file must
    compile with just what it includes."""
    words = iter(compiler_words)
    kept = []
    for word in words:
        if word in ("-o", "-include", "-c"):
            next(words)
        elif word.startswith("--param="):
            continue
        elif word.startswith("-") and word not in GCC_ONLY:
            kept.append(word)
            if word == "-isystem":
                kept.append(next(words))
    # libstdc++ 12 uses names that it calls deprecated itself.
    return [*kept, "-Wno-deprecated-declarations"]


def headers_read():
    """Object file -> the project's headers it was built from, by ninja."""
    release = core.BUILD / "release"
    _, output = core.run(["ninja", "-C", release, "-t", "deps"])
    found, current = {}, None
    for line in output.splitlines():
        if line.startswith("    "):
            path = (release / line.strip()).resolve()
            if current is not None and path.is_relative_to(core.ROOT):
                current.append(path)
        elif "(VALID)" in line:
            current = found.setdefault(line.split(":")[0], [])
        else:
            current = None
    return found


def tidy_one(context, source, arguments, headers):
    name = f"check/tidy/{source.relative_to(core.ROOT)}"
    cache = core.BUILD / "tidy"
    key = core.digest(
        core.ROOT / ".clang-tidy", " ".join(arguments), source, *(headers or [])
    )
    # Without a build it is not known what the source includes.
    if headers is not None and (cache / key).exists():
        context.report.ok(name)
        return
    status, output = core.run(
        [TIDY, "--quiet", source, "--", *arguments], cwd=core.BUILD / "release"
    )
    if status == 0:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / key).touch()
        context.report.ok(name)
    else:
        context.report.fail(name, output[:8000])


def check_tidy(context):
    wanted = {
        source: command
        for source, command in sorted(commands().items())
        if context.wants(f"check/tidy/{source.relative_to(core.ROOT)}")
    }
    if wanted and not core.find_tool(TIDY):
        context.report.skip("check/tidy", f"no {TIDY} here")
        return
    headers = headers_read()
    core.side_by_side(
        functools.partial(
            tidy_one, context, source, arguments, headers.get(output)
        )
        for source, (output, arguments) in wanted.items()
    )


def run(context):
    for name in SCRIPTS:
        if context.wants(name):
            check_script(context, name)
    if context.wants("check/format"):
        check_format(context)
    if context.may_want("check"):
        check_tidy(context)


def list_tests():
    tidy = [f"check/tidy/{s.relative_to(core.ROOT)}" for s in commands()]
    return [*SCRIPTS, "check/format", *sorted(tidy)]
