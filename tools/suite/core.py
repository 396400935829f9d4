"""Results, selection and processes, shared by all stages of the test run."""
import concurrent.futures
import dataclasses
import fnmatch
import hashlib
import os
import pathlib
import resource
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
JOBS = min(os.cpu_count() or 1, 2)


class Report:
    """Collects results; prints failures and skips as they come."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.passed = []
        self.failed = []
        self.skipped = []
        self.lock = threading.Lock()

    def ok(self, name):
        with self.lock:
            self.passed.append(name)
            if self.verbose:
                print(f"ok      {name}", flush=True)

    def fail(self, name, detail):
        with self.lock:
            self.failed.append((name, detail.strip()))
            print(f"FAILED  {name}\n{indent(detail)}", flush=True)

    def skip(self, name, reason):
        with self.lock:
            self.skipped.append((name, reason))
            print(f"skipped {name}: {' '.join(reason.split())}", flush=True)

    def close(self):
        """Prints the failures again and the closing line; the exit code."""
        for name, detail in self.failed:
            print(f"FAILED  {name}\n{indent(last_lines(detail, 30))}")
        print(
            f"{len(self.passed)} passed, {len(self.failed)} failed, "
            f"{len(self.skipped)} skipped",
            flush=True,
        )
        return 1 if self.failed or not self.passed else 0


@dataclasses.dataclass
class Context:
    report: Report
    pattern: str
    env: dict

    def wants(self, name):
        """Whether --only selects the test: a glob, or part of the name."""
        return (
            not self.pattern
            or self.pattern in name
            or fnmatch.fnmatchcase(name, self.pattern)
        )

    def may_want(self, prefix):
        """Whether --only can select tests below prefix, before building.
        The builds of other presets are made for patterns that name them."""
        head, slash, _ = self.pattern.partition("/")
        if slash:
            return fnmatch.fnmatchcase(prefix, head)
        if prefix in ("asan", "tsan", "fuzz", "cuda"):
            return prefix.startswith(head)
        return True


def indent(text):
    return "\n".join("    " + line for line in text.strip().splitlines())


def last_lines(text, count):
    return "\n".join(text.strip().splitlines()[-count:])


def run(command, env=None, timeout=600, **options):
    """(exit status, output); status None after a time-out."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            timeout=timeout,
            **options,
        )
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        return None, f"{output}\nno end after {timeout} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def side_by_side(actions):
    """Calls the actions, JOBS at a time; raises what one of them raised."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


def digest(*parts):
    """sha256 over texts and the contents of files."""
    value = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else part
        data = data.encode() if isinstance(data, str) else data
        value.update(str(len(data)).encode() + b":" + data)
    return value.hexdigest()


def tracked_files(*suffixes):
    """Sources below the root that git tracks or does not ignore; all of
    them where git or the history is absent."""
    status, output = run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
    )
    if status == 0:
        paths = [ROOT / line for line in output.splitlines()]
    else:
        folders = ("src", "include", "tests", "fuzz", "bench")
        paths = [p for f in folders for p in (ROOT / f).rglob("*")]
    return sorted(p for p in set(paths) if p.suffix in suffixes and p.is_file())


def timed(label, action):
    """Runs action and says how long it and its programs took."""

    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start, start_cpu = time.monotonic(), cpu()
    print(f"-- {label}", flush=True)
    action()
    print(
        f"-- {label}: {time.monotonic() - start:.1f} s, "
        f"{cpu() - start_cpu:.1f} s of CPU",
        flush=True,
    )


def assets():
    """The folder of test assets, which may be absent."""
    beside = ROOT.parent / "shared/assets"
    return pathlib.Path(os.environ.get("SKUA_ASSETS", beside))


def find_tool(*names):
    for name in names:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = pathlib.Path(folder) / name
            if os.access(path, os.X_OK):
                return str(path)
    return None
