"""Times Jinja2 and skua_bench on the same chat templates.

  templates.py SKUA_BENCH FOLDER CASES.json

CASES.json is that of `skua_bench templates`. Run it with an interpreter that
has jinja2 (Debian's python3-jinja2).
"""
import json
import pathlib
import subprocess
import sys
import time

import jinja2
import jinja2.sandbox

N_TRIALS = 20


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"])

    def tojson(value, ensure_ascii=False, **more):
        return json.dumps(value, ensure_ascii=ensure_ascii, **more)

    made.filters["tojson"] = tojson

    def fail(message):
        raise jinja2.TemplateError(message)

    made.globals["raise_exception"] = fail
    made.globals["strftime_now"] = lambda form: time.strftime(form)
    return made


def microseconds(run):
    times = []
    for _ in range(N_TRIALS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def theirs(folder, cases):
    everything = json.loads(pathlib.Path(cases).read_text())
    total = {"cases": 0, "parse_us": 0, "render_us": 0}
    for one in everything["cases"]:
        path = pathlib.Path(folder) / pathlib.PurePath(one["template"]).name
        if "output" not in one or not path.exists():
            continue
        source = path.read_text()
        context = everything["contexts"][one["context"]]
        env = environment()
        env.cache = None
        template = env.from_string(source)
        total["cases"] += 1
        total["parse_us"] += microseconds(lambda: env.from_string(source))
        total["render_us"] += microseconds(lambda: template.render(**context))
    return total


def main(program, folder, cases):
    reference = theirs(folder, cases)
    [row] = [json.loads(line) for line in subprocess.run(
        [program, "templates", folder, cases], check=True,
        capture_output=True, text=True).stdout.splitlines()]
    assert row["cases"] == reference["cases"], (row, reference)
    print(f"{row['cases']} cases, all together")
    for name in ("parse_us", "render_us"):
        print(f"{name[:-3]:8}{row[name] / 1000:9.2f} ms"
              f"{reference[name] / 1000:9.2f} ms"
              f"{reference[name] / row[name]:7.1f} times as fast")


if __name__ == "__main__":
    main(*sys.argv[1:])
