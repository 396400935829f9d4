#!/usr/bin/env python3
"""Measures two builds in turn; exit status 1 where the second is slower.

A test counts as slower if its best figure is more than 5 % below the base's.
"""
import argparse
import pathlib
import sys

import measure
import run
import table

TOLERANCE = 0.05
TESTS = "prefill_128,prefill_512,decode,batch_4,batch_8"


def gather(options, programs):
    """(model, test name) -> rows of the base, rows of the new build."""
    known = programs[1].ask("tests")
    found = {}
    for _ in range(options.rounds):
        for name in options.models.split(","):
            path, _ = run.find_model(name, options.models_dir)
            if not path.exists():
                sys.exit(f"compare: no model {name}: {path} is absent")
            for test_name in options.tests.split(","):
                test = measure.Test(test_name, known, options.threads)
                pair = found.setdefault((name, test_name), ([], []))
                for program, rows in zip(programs, pair):
                    measure.wait_for_quiet(options.patience)
                    row = measure.run(program, path, test, options.limit)
                    print(f"{program.name} {name} {test_name} "
                          f"{table.figure([row])}", file=sys.stderr)
                    rows.append(row)
    return found


def main():
    parser = argparse.ArgumentParser(prog="bench/compare.sh BASE",
                                     description=__doc__)
    parser.add_argument("--base", type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument("--build", type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument("--models", default="4bit",
                        help=f"of {','.join(run.MODELS)}, or paths")
    parser.add_argument("--models-dir", type=pathlib.Path,
                        default=run.PEERS / "models/1b")
    parser.add_argument("--tests", default=TESTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int,
                        default=measure.thread_count())
    parser.add_argument("--patience", type=float, default=20)
    parser.add_argument("--limit", type=float, default=300)
    options = parser.parse_args()
    measure.end_cleanly()
    programs = (measure.Skua(options.base, "base"),
                measure.Skua(options.build, "now"))
    lines, slower = [["model", "test", "base", "now", "ratio"]], False
    for (name, test), (base, now) in gather(options, programs).items():
        gain = table.gain(now, [base])
        bad = gain is None or gain < 1 - TOLERANCE
        slower |= bad
        lines.append([name, test, table.figure(base), table.figure(now),
                      table.ratio(now, [base]) + " slower" * bad])
    print("\n".join(table.aligned(lines, False)))
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
