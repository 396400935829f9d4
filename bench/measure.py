"""Runs one measurement in a process of its own and says what disturbed it."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

# A prompt that is 16 tokens to a tokenizer of bytes.
PROMPT = "zyxwvutsrqponmlk"


class Test:
    """A row of the table: counts, and under what conditions.

    NAME is one of `skua_bench tests` or first_token; NAME_busy runs while
    another process keeps a core busy, NAME_one_thread with one thread."""

    def __init__(self, name, known, threads, quick=False):
        self.name = name
        self.busy = name.endswith("_busy")
        alone = name.endswith("_one_thread")
        self.threads = 1 if alone else threads
        base = name.removesuffix("_busy").removesuffix("_one_thread")
        self.seconds = base in ("first_token", "load")
        if base == "first_token":
            base = "load"
        if base not in known:
            sys.exit(f"no test {base}; there are {' '.join(known)} first_token")
        self.counts = known[base]
        if self.busy or quick:  # peers need seconds for a token then
            self.counts = {**self.counts, "reps": 1}
        if quick:
            self.counts["gen"] = min(self.counts["gen"], 16)


class Skua:
    """skua_bench of a build folder; skua itself for the first token."""

    def __init__(self, build, name="skua"):
        self.name, self.bin = name, pathlib.Path(build) / "bin"

    def ask(self, *arguments):
        """The JSON object that skua_bench answers with."""
        done = subprocess.run([self.bin / "skua_bench", *arguments],
                              check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def command(self, model, test):
        if test.name == "first_token":
            return [self.bin / "skua", "run", "--raw", "-n", 1, "-q",
                    "-m", model, PROMPT]
        counts = [f"--{key}={value}" for key, value in test.counts.items()]
        return [self.bin / "skua_bench", "model", model, *counts,
                "--threads", test.threads]

    def parse(self, test, output):
        if test.name == "first_token":
            return {}
        return json.loads(output.strip().splitlines()[-1])


class Llama:
    """llama-bench, and llama-batched-bench where there is a context or a
    batch. Both answer in tokens per second."""

    def __init__(self, name, binaries):
        folder, *self.extra = str(binaries).split()
        self.name, self.bin = name, pathlib.Path(folder)

    def command(self, model, test):
        c = test.counts
        if c["depth"]:
            context = (c["depth"] + c["gen"]) * c["batch"] + 64
            return [self.bin / "llama-batched-bench", "-m", model,
                    "-t", test.threads, "-c", context, "-npp", c["depth"],
                    "-ntg", c["gen"], "-npl", c["batch"]]
        first = ["--no-warmup"] if test.seconds else []
        prompt = len(PROMPT) if test.name == "first_token" else c["prompt"]
        return [self.bin / "llama-bench", "-m", model, "-t", test.threads,
                "-p", prompt, "-n", c["gen"], "-r", c["reps"], "-o", "json",
                *first, *self.extra]

    def parse(self, test, output):
        if "samples_ts" in output:
            row = json.loads(output[output.index("["):output.rindex("]") + 1])
            return {"tok_s": row[-1]["samples_ts"],
                    "version": row[-1]["build_commit"]}
        # PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, T, S
        rows = [line.strip("| \n").split("|")
                for line in output.splitlines() if line.startswith("|")]
        row = [cells for cells in rows if cells[0].strip().isdigit()][-1]
        return {"tok_s": [float(row[7])], "prefill_tok_s": float(row[5])}


def thread_count():
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def machine_busy():
    """CPU seconds that all processes of the machine have used."""
    stat = pathlib.Path("/proc/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().split("\n", 1)[0].split()[1:]
    ticks = sum(int(fields[i]) for i in (0, 1, 2, 5, 6, 7))
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(patience):
    """Up to `patience` seconds, until a second passes in which the machine
    does next to nothing."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before = machine_busy()
        time.sleep(1)
        if machine_busy() - before < 0.05 * os.cpu_count():
            return


@contextlib.contextmanager
def neighbour(wanted):
    """A process that keeps one core busy."""
    if not wanted:
        yield
        return
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        spin.kill()
        spin.wait()


def end_cleanly():
    """Makes a termination an exception, so that children are ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def read_into_page_cache(model):
    """What ran before may have pushed the model's files out."""
    for path in model.iterdir() if model.is_dir() else [model]:
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


def run(program, model, test, limit):
    """One sample: rates (or the seconds of the whole process), peak memory,
    and the share of the machine that others used. A failure has a note."""
    command = list(map(str, program.command(model, test)))
    row = {"program": program.name, "model": model.name, "test": test.name,
           "time": time.strftime("%Y-%m-%dT%H:%M:%S")}
    environment = {**os.environ, "SKUA_THREADS": str(test.threads)}
    if test.seconds:
        read_into_page_cache(model)
    with tempfile.TemporaryFile("w+") as out, neighbour(test.busy):
        begin, busy = time.monotonic(), machine_busy()
        process = subprocess.Popen(command, stdout=out, env=environment,
                                   stderr=subprocess.STDOUT,
                                   start_new_session=True)
        alarm = threading.Timer(limit, os.killpg,
                                (process.pid, signal.SIGKILL))
        alarm.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            alarm.cancel()
        seconds = time.monotonic() - begin
        used = machine_busy() - busy - usage.ru_utime - usage.ru_stime
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read()
    if process.returncode:
        last = output.strip().splitlines()[-1:] or [""]
        late = seconds >= limit
        return {**row, "note": f"over {limit:g} s" if late else last[0]}
    row |= program.parse(test, output)
    # The name of the row, not the one that the program knows.
    row["test"] = test.name
    if test.seconds:
        row["seconds"] = [round(seconds, 3)]
        row.pop("tok_s", None)
    row["rss_bytes"] = usage.ru_maxrss * 1024
    others = max(0.0, used - (seconds if test.busy else 0))
    row["others_cpu"] = round(others / (seconds * os.cpu_count()), 3)
    return row
