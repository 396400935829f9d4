"""Runs GoogleTest programs and reads their results."""
import dataclasses
import functools
import pathlib
import re
import tempfile
import xml.etree.ElementTree as ElementTree

from suite import core


def list_tests(program, env=None):
    """Full names Suite.Test of a program's tests; None if it cannot say."""
    status, output = core.run([program, "--gtest_list_tests"], env=env)
    if status != 0:
        return None
    names, suite = [], ""
    for line in output.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith("  "):
            names.append(suite + word)
        elif word.endswith("."):
            suite = word
    return [name for name in names if "DISABLED_" not in name]


@dataclasses.dataclass
class Run:
    """The tests of one program that are wanted and whose name matches the
    regular expression; their names begin with prefix/."""

    context: core.Context
    prefix: str
    program: pathlib.Path
    match: str = ""
    limit_bytes: int | None = None


def run_all(runs):
    """Runs all tests; the processes, as many as JOBS for each program, run
    side by side."""
    batches = [b for run in runs for b in split(run)]
    core.side_by_side(functools.partial(run_batch, *b) for b in batches)


def wanted(run):
    """Names of its tests; None if the program cannot say."""
    names = list_tests(run.program, run.context.env)
    if names is None:
        return None
    return [
        n
        for n in names
        if re.search(run.match, n) and run.context.wants(f"{run.prefix}/{n}")
    ]


def list_runs(runs):
    """Full names; none of programs that are not built."""
    return [f"{run.prefix}/{n}" for run in runs for n in wanted(run) or []]


def split(run):
    """(run, names) of each process. Neighbours, which take about as long, go
    to different ones."""
    names = wanted(run)
    if names is None:
        run.context.report.fail(
            run.prefix, f"{run.program} cannot list its tests"
        )
        return []
    # The system bounds the length of one argument.
    count = max(min(core.JOBS, len(names)), -(-len(names) // 1000))
    return [(run, names[first::count]) for first in range(count)]


def run_batch(run, names):
    context, prefix = run.context, run.prefix
    limit = []
    if run.limit_bytes:
        limit = ["sh", "-c", 'ulimit -c 0; ulimit -v "$0" && exec "$@"']
        limit += [run.limit_bytes // 1024]
    with tempfile.TemporaryDirectory(prefix="skua-gtest-") as folder:
        result = f"{folder}/result.xml"
        status, output = core.run(
            [
                *limit,
                run.program,
                "--gtest_filter=" + ":".join(names),
                f"--gtest_output=xml:{result}",
            ],
            env=context.env,
            cwd=core.ROOT,
        )
        try:
            cases = ElementTree.parse(result).getroot().iter("testcase")
            failures = read_cases(context, prefix, cases)
            # A leak report comes after the last test.
            if status != 0 and not failures:
                context.report.fail(f"{prefix}/(end)", output[-8000:])
        except (OSError, ElementTree.ParseError):
            read_crash(context, prefix, status, output)


def read_cases(context, prefix, cases):
    """Reports the cases; returns how many failed."""
    count = 0
    for case in cases:
        name = f"{prefix}/{case.get('classname')}.{case.get('name')}"
        failures = [f.get("message") for f in case.findall("failure")]
        skipped = case.find("skipped")
        if failures:
            count += 1
            context.report.fail(name, "\n".join(failures))
        elif skipped is not None:
            message = skipped.get("message", "")
            # The first line is the place in the source.
            reason = message.partition("\n")[2] or message
            context.report.skip(name, reason.strip() or "no reason given")
        else:
            context.report.ok(name)
    return count


def read_crash(context, prefix, status, output):
    """The program ended early: what it printed says how far it came."""
    for name in re.findall(r"^\[       OK \] (\S+)", output, re.MULTILINE):
        context.report.ok(f"{prefix}/{name}")
    # What a sanitizer says first is what counts.
    output = output.partition("Shadow bytes around")[0]
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    where = started[-1] if started else "(start)"
    context.report.fail(
        f"{prefix}/{where}", f"exit status {status}\n{core.last_lines(output, 60)}"
    )
