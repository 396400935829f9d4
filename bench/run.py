#!/usr/bin/env python3
"""Measures Skua and, where $PEERS_HOME has them, its peers.

Each test of each round runs one program after the other, with the read
bandwidth measured in between. Prints a table for each model; --out keeps the
measurements as JSON lines.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import measure
import table

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = pathlib.Path(os.environ.get("PEERS_HOME", "~/.cache/peers"))
PEERS = PEERS.expanduser()
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
CACHE = pathlib.Path(os.environ.get("SKUA_HOME") or CACHE / "skua")
SMOLLM2 = CACHE.expanduser() / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
# Our file, and the peers' files that are compared with it.
MODELS = {
    "4bit": ("mlx-4bit", ["1b-q4_0.gguf", "1b-q4_k_m.gguf"]),
    "8bit": ("mlx-8bit", ["1b-q8_0.gguf"]),
    "q4_0": ("1b-q4_0.gguf", ["1b-q4_0.gguf"]),
    "q4_k_m": ("1b-q4_k_m.gguf", ["1b-q4_k_m.gguf"]),
    "q8_0": ("1b-q8_0.gguf", ["1b-q8_0.gguf"]),
    "bf16": ("bf16", ["1b-bf16.gguf"]),
    "smollm2": (SMOLLM2, [SMOLLM2]),
}
TESTS = ("first_token,prefill_128,prefill_512,prefill_2048,decode,decode_4k,"
         "batch_4,batch_8,batch_32,decode_one_thread,decode_busy,"
         "prefill_512_one_thread,prefill_512_busy")
QUICK = "prefill_128,decode,batch_4"


def find_model(name, folder):
    """A row of MODELS as paths; any other name is a path."""
    if name not in MODELS:
        path = pathlib.Path(name)
        return path, [path] if path.suffix == ".gguf" else []
    ours, theirs = MODELS[name]
    return folder / ours, [folder / file for file in theirs]


def version(build):
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True, text=True).stdout.strip()
    return {"commit": commit, "date": time.strftime("%Y-%m-%d"),
            "build": build.name}


def plan(options, ours):
    """(model group, [(program, path)]) of all that is here."""
    peers = [measure.Llama(*entry.split("=", 1)) for entry in options.peer]
    built = PEERS / "llama-build/bin"
    if not options.no_peers and (built / "llama-bench").exists():
        peers.insert(0, measure.Llama("llama.cpp", built))
    for name in options.models.split(","):
        path, files = find_model(name, options.models_dir)
        if not path.exists():
            print(f"bench: no model {name}: {path} is absent", file=sys.stderr)
            continue
        yield name, [(ours, path)] + [
            (peer, file) for peer in peers for file in files if file.exists()]


def measure_all(options, ours, emit):
    known = ours.ask("tests")
    tests = [measure.Test(name, known, options.threads, options.quick)
             for name in options.tests.split(",")]
    groups = list(plan(options, ours))
    emit({"groups": {name: [[p.name, path.name] for p, path in jobs]
                     for name, jobs in groups}})
    # Without repeats, where two groups name the same measurement.
    jobs = {(p.name, path): (p, path) for _, g in groups for p, path in g}
    failed = set()

    def bandwidth():
        read = ours.ask("machine", "--bandwidth",
                        f"--threads={options.threads}")
        return read["bandwidth"][0]

    emit({"machine": ours.ask("machine", f"--threads={options.threads}"),
          **version(options.build)})
    before = bandwidth()
    for number in range(options.rounds):
        for test in tests:
            for key, (program, path) in jobs.items():
                if (key, test.name) in failed:
                    continue
                measure.wait_for_quiet(options.patience)
                row = measure.run(program, path, test, options.limit)
                after = bandwidth()
                emit({**row, "round": number, "bandwidth": [before, after]})
                before = after
                if "note" in row:
                    failed.add((key, test.name))
    emit({"machine": ours.ask("machine", f"--threads={options.threads}")})


def main():
    parser = argparse.ArgumentParser(
        prog="bench/run.sh", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="4bit,8bit",
                        help=f"of {','.join(MODELS)}, or paths")
    parser.add_argument("--models-dir", type=pathlib.Path,
                        default=PEERS / "models/1b")
    parser.add_argument("--tests", help=f"default: {TESTS}")
    parser.add_argument("--quick", action="store_true",
                        help=f"one round of {QUICK}, 16 steps at most")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int,
                        default=measure.thread_count())
    parser.add_argument("--peer", action="append", default=[],
                        metavar="NAME=DIR", help="another build of llama.cpp")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--patience", type=float, default=20,
                        help="seconds to wait for a quiet machine")
    parser.add_argument("--limit", type=float, default=300,
                        help="seconds for one process")
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--out", type=pathlib.Path, help="JSON lines")
    parser.add_argument("--show", type=pathlib.Path, metavar="OUT",
                        help="the table of an earlier run")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    measure.end_cleanly()
    options.tests = options.tests or (QUICK if options.quick else TESTS)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.show:
        lines = options.show.read_text().splitlines()
        print(table.render(map(json.loads, lines), options.markdown))
        return
    rows = []

    def emit(row):
        rows.append(row)
        line = json.dumps(row)
        print(line, file=sys.stderr, flush=True)
        if options.out:
            with options.out.open("a") as file:
                file.write(line + "\n")

    measure_all(options, measure.Skua(options.build), emit)
    print(table.render(rows, options.markdown))


if __name__ == "__main__":
    main()
