"""Runs the unittest files of tests/e2e, each in a process of its own."""
import json
import tempfile

from suite import core, fixtures

# Runs the named tests of one file (all if none is named) and writes
# [[name, status, detail], ...] as JSON; with --list just the names.
RUNNER = """
import importlib.util, json, os, sys, unittest
path, out, listing, *wanted = sys.argv[1:]
sys.path.insert(0, os.path.dirname(path))
name = os.path.basename(path)[:-3]
suite = unittest.defaultTestLoader.loadTestsFromName(name)
def flat(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite): yield from flat(test)
        else: yield test
def short(test):
    full = test.id() if hasattr(test, 'id') else str(test)
    return full.removeprefix(name + '.')
tests = [t for t in flat(suite) if not wanted or short(t) in wanted]
rows = []
class Result(unittest.TestResult):
    def addSuccess(self, t): rows.append([short(t), 'ok', ''])
    def addSkip(self, t, why): rows.append([short(t), 'skip', why])
    def addFailure(self, t, e): self.bad(t, e)
    def addError(self, t, e): self.bad(t, e)
    def addExpectedFailure(self, t, e): rows.append([short(t), 'ok', ''])
    def addUnexpectedSuccess(self, t):
        rows.append([short(t), 'fail', 'unexpected success'])
    def addSubTest(self, t, sub, e):
        if e: self.bad(sub, e)
    def bad(self, t, e):
        rows.append([short(t), 'fail', self._exc_info_to_string(e, t)])
if listing == 'list': rows = [[short(t), 'ok', ''] for t in tests]
else: unittest.TestSuite(tests).run(Result())
json.dump(rows, open(out, 'w'))
"""


def ask(context, path, listing, names=()):
    """(rows, output); rows are None when the file could not be run."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [fixtures.python(), "-c", RUNNER, path, out.name, listing]
        _, output = core.run(
            [*command, *names], env=context.env, cwd=core.ROOT
        )
        try:
            with open(out.name, encoding="utf-8") as file:
                return json.load(file), output
        except ValueError:
            return None, output


def list_tests(context, path):
    rows, _ = ask(context, path, "list")
    return [row[0] for row in rows or []]


def run_file(context, path):
    prefix = f"e2e/{path.stem}"
    names = []
    if context.pattern:
        names = [
            name
            for name in list_tests(context, path)
            if context.wants(f"{prefix}/{name}")
        ]
        if not names:
            return
    rows, output = ask(context, path, "run", names)
    if rows is None:
        context.report.fail(prefix, output)
        return
    for name, status, detail in rows:
        if status == "ok":
            context.report.ok(f"{prefix}/{name}")
        elif status == "skip":
            context.report.skip(f"{prefix}/{name}", detail)
        else:
            context.report.fail(f"{prefix}/{name}", detail + output[-4000:])


def files():
    return sorted((core.ROOT / "tests/e2e").glob("test_*.py"))
