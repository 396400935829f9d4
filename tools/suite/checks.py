"""Checks of the sources: layers, the contract's tests, formatting, clang's
warnings and tidy."""
import dataclasses
import functools
import json
import re
import shlex
import sys

from suite import core

TIDY = "clang-tidy-19"
FORMAT = "clang-format-19"
CACHE = core.BUILD / "tidy"
BATCH = 10
SCRIPTS = {
    "check/layers": ["tools/check_layers.py"],
    "check/contract": ["tools/contract.py", "--check"],
    "check/includes": ["tools/check_includes.py"],
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


@dataclasses.dataclass
class Source:
    path: core.pathlib.Path
    arguments: list
    headers: list | None

    @property
    def name(self):
        return f"check/tidy/{self.path.relative_to(core.ROOT)}"

    @property
    def stamp(self):
        """The file that says that just this has been found clean."""
        key = core.digest(
            core.ROOT / ".clang-tidy",
            *(" ".join(self.arguments), self.path, *(self.headers or [])),
        )
        return CACHE / key

    def is_known(self):
        # Without a build it is not known what the source includes.
        return self.headers is not None and self.stamp.exists()


def tidy(path, arguments):
    return core.run(
        [TIDY, "--quiet", path, "--", *arguments], cwd=core.BUILD / "release"
    )


def tidy_batch(context, sources):
    """Reads the sources as one, for most of the time goes into the headers
    that they share; half of them each where that finds anything."""
    path = sources[0].path
    if len(sources) > 1:
        # Some warnings are given of the main file alone: no #include.
        text = "".join(
            f'#line 1 "{source.path}"\n{source.path.read_text()}'
            for source in sources
        )
        path = CACHE / f"{core.digest(text)}.cpp"
        path.write_text(text)
    status, output = tidy(path, sources[0].arguments)
    if len(sources) > 1:
        path.unlink()
    if status == 0:
        for source in sources:
            source.stamp.touch()
            context.report.ok(source.name)
    elif len(sources) == 1:
        context.report.fail(sources[0].name, output[:8000])
    else:
        middle = len(sources) // 2
        tidy_batch(context, sources[:middle])
        tidy_batch(context, sources[middle:])


# What a line that is not indented, so is in no function or class, declares.
DECLARED = re.compile(
    r"^(?:#define |(?![\s#}/]|namespace\b|static_assert\b).*?"
    r"(?<!::)\b(?!(?:const|noexcept|bool|void)\b)(?=\w+ ?[({=;\[]))(\w+)",
    re.MULTILINE,
)


def batches(sources):
    """Sources of one folder that are compiled alike, some at a time; those
    that declare the same names apart."""
    groups = {}
    for source in sources:
        text = source.path.read_text()
        names = set(DECLARED.findall(text))
        # Highway reads a source once more for each instruction set.
        alone = "HWY_TARGET_INCLUDE" in text
        key = source.path if alone else source.path.parent
        group = groups.setdefault((key, *source.arguments), [])
        for batch, taken in group:
            if len(batch) < BATCH and not names & taken:
                break
        else:
            batch, taken = [], set()
            group.append((batch, taken))
        batch.append(source)
        taken |= names
    for group in groups.values():
        yield from (batch for batch, _ in group)


def check_tidy(context):
    headers = headers_read()
    sources = [
        Source(path, arguments, headers.get(output))
        for path, (output, arguments) in sorted(commands().items())
    ]
    wanted = [source for source in sources if context.wants(source.name)]
    if wanted and not core.find_tool(TIDY):
        context.report.skip("check/tidy", f"no {TIDY} here")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    for source in wanted:
        if source.is_known():
            context.report.ok(source.name)
    unknown = [source for source in wanted if not source.is_known()]
    core.side_by_side(
        functools.partial(tidy_batch, context, batch)
        for batch in batches(unknown)
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
