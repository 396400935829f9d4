"""The readable form of what run.py measured."""
import statistics


def rates(rows):
    """Every figure of the rows: tokens per second or seconds."""
    return [x for row in rows for x in row.get("tok_s", row.get("seconds", []))]


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def best(rows):
    pick = min if any("seconds" in row for row in rows) else max
    return pick(rates(rows))


def figure(rows):
    """best / median of the rows of one program and test."""
    if not rates(rows):
        return next((row["note"][:30] for row in rows if "note" in row), "")
    return f"{number(best(rows))} / {number(statistics.median(rates(rows)))}"


def gain(ours, others):
    """How many times better the best of ours is than the best of theirs;
    None where one of them has no figure."""
    theirs = [best(rows) for rows in others if rates(rows)]
    if not theirs or not rates(ours):
        return None
    if "seconds" in ours[0]:
        return min(theirs) / best(ours)
    return best(ours) / max(theirs)


def ratio(ours, others):
    value = gain(ours, others)
    return "" if value is None else f"{value:.2f}"


def float_peak(machines):
    """(name, GFLOP/s) of the fastest float instruction of all threads."""
    peaks = [(p["all_threads"]["best"], p["name"]) for m in machines
             for p in m["peaks"] if p["unit"] == "GFLOP/s"]
    top, name = max(peaks, default=(0, ""))
    return name, top


def limit(rows, machines):
    """The fraction of what memory or arithmetic allows."""
    rows = [row for row in rows if row.get("tok_s")]
    values = rates(rows)
    if not rows:
        return ""
    if "bytes_per_token" in rows[0]:
        read = [b for row in rows for b in row["bandwidth"]]
        top = max(b["best"] for b in read)
        usual = statistics.median(b["median"] for b in read)
        gb = rows[0]["bytes_per_token"] / 1e9
        return (f"{100 * max(values) * gb / top:.0f} / "
                f"{100 * statistics.median(values) * gb / usual:.0f} % of "
                f"{top:.1f} / {usual:.1f} GB/s")
    if "flop_per_token" in rows[0] and machines:
        name, top = float_peak(machines)
        share = max(values) * rows[0]["flop_per_token"] / 1e9 / top
        return f"{100 * share:.0f} % of {top:.0f} GFLOP/s {name}"
    return ""


class Samples:
    """The rows of one run, by program, model and test."""

    def __init__(self, rows):
        rows = list(rows)
        self.rows = [row for row in rows if "test" in row]
        self.machines = [row["machine"] for row in rows if "machine" in row]
        self.groups = {}
        for row in rows:
            self.groups |= row.get("groups", {})
        self.about = next((row for row in rows if "commit" in row), {})

    def of(self, job, test):
        return [row for row in self.rows if row["test"] == test and
                [row["program"], row["model"]] == job]

    def tests(self, jobs):
        names = {row["test"]: None for row in self.rows
                 if [row["program"], row["model"]] in jobs}
        return list(names)


def memory_line(samples, jobs):
    """Peak memory of a 2k prompt, and ours against weights and KV."""
    peaks = [max((row.get("rss_bytes", 0) for row
                  in samples.of(job, "prefill_2048")), default=0)
             for job in jobs]
    if not peaks[0]:
        return []
    row = next(row for row in samples.of(jobs[0], "prefill_2048")
               if "weight_bytes" in row)
    need = row["weight_bytes"] + 2048 * row["kv_bytes"]
    others = [p for p in peaks[1:] if p]
    return [["peak memory, 2k context (MB)",
             *(f"{p / 1e6:.0f}" if p else "" for p in peaks),
             f"{min(others) / peaks[0]:.2f}" if others else "",
             f"{peaks[0] / need:.2f} x (weights + KV)"]]


def lines_of(samples, jobs):
    yield ["test", *(" ".join(job) for job in jobs), "x best peer", "of limit"]
    for test in samples.tests(jobs):
        ours, *others = [samples.of(job, test) for job in jobs]
        if test.endswith("_busy"):
            alone = samples.of(jobs[0], test.replace("_busy", "_one_thread"))
            note = ratio(ours, [alone])
            note = f"{note} x one thread alone" if note else ""
        elif test.endswith("_one_thread"):
            note = ""
        else:
            note = limit(ours, samples.machines)
        unit = " (s)" if any("seconds" in row for row in ours) else ""
        yield [test + unit, figure(ours), *map(figure, others),
               ratio(ours, others), note]
    yield from memory_line(samples, jobs)


def aligned(lines, markdown):
    widths = [max(map(len, column)) for column in zip(*lines)]
    joined = [[cell.ljust(w) for cell, w in zip(line, widths)]
              for line in lines]
    if not markdown:
        return ["  ".join(line).rstrip() for line in joined]
    joined.insert(1, ["-" * w for w in widths])
    return ["| " + " | ".join(line) + " |" for line in joined]


def machine_lines(samples):
    machine = samples.machines[0]
    yield (f"{machine['cpu']}, {machine['threads']} threads, "
           f"{' '.join([machine['level'], *machine['features']])}")
    for label, m in zip(("before", "after"), samples.machines):
        read = ", ".join(
            f"{b['threads']} threads {b['best']:.1f} / {b['median']:.1f} GB/s"
            f" ({b['pages']} pages)" for b in m["bandwidth"])
        peak = ", ".join(
            f"{p['name']} {p['all_threads']['best']:.0f} / "
            f"{p['all_threads']['median']:.0f} {p['unit']}"
            for p in m["peaks"])
        yield f"{label}: reads {read}; computes {peak}"
    others = [r["others_cpu"] for r in samples.rows if "others_cpu" in r]
    if others:
        quiet = sum(share < 0.05 for share in others)
        yield (f"{quiet} of {len(others)} samples were undisturbed; others "
               f"used {100 * statistics.median(others):.0f} % of the machine "
               "at the median")
    versions = {row["program"]: row["version"] for row in samples.rows
                if "version" in row}
    named = ", ".join(f"{k} {v}" for k, v in versions.items())
    yield (f"{samples.about.get('date', '')}, {named}, commit "
           f"{samples.about.get('commit', '')}")


def render(rows, markdown):
    """A paragraph on the machine and a table for each model; figures are
    best / median in tokens per second unless the row says otherwise."""
    samples = Samples(rows)
    text = []
    if samples.machines:
        text += [("- " if markdown else "") + line
                 for line in machine_lines(samples)]
    for name, jobs in samples.groups.items():
        text += ["", f"### {name}" if markdown else f"{name}:", ""]
        text += aligned(list(lines_of(samples, jobs)), markdown)
    return "\n".join(text)
