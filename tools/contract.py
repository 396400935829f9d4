#!/usr/bin/env python3
"""Writes docs/CONTRACT.md: each row of the contract with the tests that name it.

  --check  writes nothing; exit status 1 with one line per fault

Tests name rows, as GEN-11 or GEN-48..52, in comments above or in them, Python
tests also in name or docstring, benches anywhere in the file. A row leaves the
list of rows not yet shown with its first test, and is put back by hand alone.
"""
import ast
import itertools
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs/CONTRACT.md"
SPEC = ROOT.parent / "shared/spec/contract.md"
KINDS = "GEN|SPEC|COMP"
NAMED = re.compile(rf"\b({KINDS})-(\d+)(?:\.\.(?:\1-)?(\d+))?")
ROW = re.compile(rf"\| ((?:{KINDS})-\d+) \| (.+?) \| (.*?) \|$")
TEST = re.compile(r"^\w*TEST\w*\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
OPEN = "Not yet shown"
COLUMNS = "| row | requirement | tests |\n|---|---|---|\n"
HEAD = """# Contract

What the library promises, and the tests that show it; `tools/contract.py`
writes this page from what the tests name.
"""


def rows_in(text):
    for kind, first, last in NAMED.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield f"{kind}-{number:0{len(first)}}"


def read_rows(path):
    """Row -> (section, requirement, last cell)."""
    rows, section = {}, ""
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("## "):
            section = line[3:]
        elif match := ROW.match(line):
            requirement = re.sub(r" \(b(;[^)]*)?\)$", "", match[2])
            rows[match[1]] = (section, requirement, match[3])
    return rows


def cpp_names(path):
    """(row, test or None if outside of one, line number)."""
    text = path.read_text()
    tests = {text.count("\n", 0, m.start()) + 1: f"{m[1]}.{m[2]}"
             for m in TEST.finditer(text)}
    test, above = None, []
    for number, line in enumerate([*text.splitlines(), "end"], 1):
        above += [(row, number) for row in rows_in(line.partition("//")[2])]
        if line[:1].strip():
            test = tests.get(number)
        if not line.startswith("//"):
            yield from ((row, test, place) for row, place in above)
            above = []


def python_names(path):
    """As cpp_names."""
    lines = path.read_text().splitlines()
    owner = [None] * len(lines)
    for group in ast.parse("\n".join(lines)).body:
        for test in getattr(group, "body", []):
            name = getattr(test, "name", "")
            if not name.startswith("test"):
                continue
            first = min(n.lineno for n in [test, *test.decorator_list]) - 1
            while lines[first - 1].lstrip().startswith("#"):
                first -= 1
            full = f"{path.name}::{group.name}.{name}"
            owner[first:test.end_lineno] = [full] * (test.end_lineno - first)
            spelled = re.sub(rf"_({KINDS.lower()})_?(\d+)", r" \1-\2", name)
            for row in rows_in(spelled.upper()):
                yield row, full, test.lineno
    for number, line in enumerate(lines, 1):
        for row in rows_in(line):
            yield row, owner[number - 1], number


def find_tests(rows, faults):
    """Row -> names of the tests and benches that name it."""
    shown = {row: set() for row in rows}
    files = [*(ROOT / "tests").rglob("*"), *(ROOT / "bench").rglob("*")]
    for path in sorted(f for f in files if f.suffix in (".cpp", ".h", ".py")):
        where = str(path.relative_to(ROOT))
        is_bench = where.startswith("bench/")
        read = python_names if path.suffix == ".py" else cpp_names
        for row, test, number in read(path):
            place = f"{where}:{number}: names {row},"
            if row not in rows:
                faults.append(f"{place} which does not exist")
            elif is_bench and SPEC.exists() and "bench" not in rows[row][-1]:
                faults.append(f"{place} which a bench cannot show")
            elif not is_bench and not test:
                faults.append(f"{place} but not in or above a test")
            else:
                shown[row].add(where if is_bench else test)
    return shown


def still_open(rows, shown):
    """What the file lists and rows new to it, without what is shown."""
    known = read_rows(CONTRACT)
    text = CONTRACT.read_text() if known else ""
    listed = set(rows_in(text.partition(f"## {OPEN}")[2]))
    return [row for row in rows
            if not shown[row] and (row in listed or row not in known)]


def render(rows, shown, open_rows):
    text = HEAD
    for section, group in itertools.groupby(rows, lambda row: rows[row][0]):
        text += f"\n## {section}\n\n{COLUMNS}"
        for row in group:
            tests = ", ".join(f"`{name}`" for name in sorted(shown[row])) or "-"
            text += f"| {row} | {rows[row][1]} | {tests} |\n"
    listed = textwrap.fill(", ".join(open_rows), 80, break_on_hyphens=False)
    return f"{text}\n## {OPEN}\n\n{listed}\n"


def main():
    rows = read_rows(SPEC if SPEC.exists() else CONTRACT)
    if not rows:
        sys.exit("contract: no rows found")
    faults = []
    shown = find_tests(rows, faults)
    open_rows = still_open(rows, shown)
    faults += [f"{row}: no test names it, and '{OPEN}' does not list it"
               for row in rows if not shown[row] and row not in open_rows]
    text = render(rows, shown, open_rows)
    if "--check" not in sys.argv[1:]:
        CONTRACT.write_text(text)
    if not CONTRACT.exists() or CONTRACT.read_text() != text:
        faults.append("docs/CONTRACT.md is stale: run tools/contract.py")
    print("\n".join(faults) if faults else
          f"contract: {len(rows) - len(open_rows)} of {len(rows)} rows shown")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
