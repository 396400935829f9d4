"""Runs GoogleTest programs and reads their results."""
import re
import resource
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


def memory_limit(limit_bytes):
    def apply():
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return apply


def run_program(context, prefix, program, match="", limit_bytes=None):
    """Runs the tests of one program that are wanted and whose name matches
    the regular expression; their names begin with prefix/."""
    names = list_tests(program)
    if names is None:
        context.report.fail(prefix, f"{program} cannot list its tests")
        return
    names = [n for n in names if re.search(match, n)]
    wanted = [n for n in names if context.wants(f"{prefix}/{n}")]
    # The system bounds the length of one argument.
    for first in range(0, len(wanted), 1000):
        run_batch(
            context, prefix, program, wanted[first : first + 1000], limit_bytes
        )


def run_batch(context, prefix, program, names, limit_bytes):
    options = {}
    if limit_bytes:
        options["preexec_fn"] = memory_limit(limit_bytes)
    with tempfile.TemporaryDirectory(prefix="skua-gtest-") as folder:
        result = f"{folder}/result.xml"
        status, output = core.run(
            [
                program,
                "--gtest_filter=" + ":".join(names),
                f"--gtest_output=xml:{result}",
            ],
            env=context.env,
            cwd=core.ROOT,
            **options,
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
