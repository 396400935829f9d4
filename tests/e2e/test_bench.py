"""`skua_bench` and the table of bench/run.sh."""
import json
import subprocess
import sys
import unittest

import support

BENCH = support.BUILD / "bin/skua_bench"
STORIES = "lm/stories260K/hf"


def bench(*arguments):
    if not BENCH.exists():
        raise unittest.SkipTest("skua_bench is not built")
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True,
                          text=True, timeout=60)


def lines(*arguments):
    done = bench(*arguments)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


class MachineTest(unittest.TestCase):
    def test_quick_machine_has_positive_limits(self):
        (machine,) = lines("machine", "--quick")
        self.assertGreater(machine["threads"], 0)
        rates = [*machine["bandwidth"]]
        for peak in machine["peaks"]:
            self.assertIn(peak["unit"], ("GFLOP/s", "GOP/s"))
            rates += [peak["one_thread"], peak["all_threads"]]
        for rate in rates:
            self.assertGreater(rate["median"], 0)
            self.assertGreaterEqual(rate["best"], rate["median"])
        pages = {(b["threads"], b["pages"]) for b in machine["bandwidth"]}
        self.assertIn((machine["threads"], "small"), pages)

    def test_peaks_are_those_of_the_level(self):
        (machine,) = lines("machine", "--quick", "--threads", 1)
        named = {peak["name"] for peak in machine["peaks"]}
        levels = {"avx2": {"avx2"}, "avx512": {"avx2", "avx512"},
                  "amx": {"avx2", "avx512"}}
        has = levels.get(machine["level"], set()) | set(machine["features"])
        for peak, need in {
            "f32_fma_avx2": "avx2",
            "f32_fma_avx512": "avx512",
            "bf16_dot_avx512": "avx512_bf16",
            "int8_vnni_avx512": "avx512_vnni",
            "bf16_amx": "amx_bf16",
            "int8_amx": "amx_int8",
        }.items():
            self.assertEqual(peak in named, need in has, peak)
        self.assertEqual(machine["threads"], 1)


class StopsTest(unittest.TestCase):
    def test_stops_are_measured(self):  # GEN-53
        found = {test["test"]: test for test in lines("stops")}
        self.assertEqual(set(found), {"none", "prose", "hostile"})
        for test in found.values():
            self.assertEqual(test["characters"], 100000)
            rate = test["ns_per_character"]
            self.assertGreater(rate["best"], 0)
            self.assertGreaterEqual(rate["median"], rate["best"])


class ModelTest(unittest.TestCase):
    def setUp(self):
        self.model = support.asset(STORIES)

    def test_named_tests_give_a_line_each(self):
        names = "load,prefill_128,decode,batch_4"
        rows = lines("model", self.model, "--test", names)
        self.assertEqual([row["test"] for row in rows], names.split(","))
        self.assertEqual([len(row["tok_s"]) for row in rows], [1, 3, 3, 1])
        for row in rows:
            self.assertGreater(min(row["tok_s"]), 0)
            self.assertGreater(row["load_s"], 0)

    def test_counts_follow_the_peers_protocol(self):
        (row,) = lines("model", self.model, "--threads=1", "--prompt=0",
                       "--gen=5", "--depth=40", "--batch=3", "--reps=2")
        self.assertEqual(len(row["tok_s"]), 2)
        self.assertEqual(row["threads"], 1)
        self.assertGreater(row["prefill_tok_s"], 0)
        self.assertLessEqual(row["step_ms_p50"], row["step_ms_p99"])

    def test_sizes_are_those_of_the_model(self):
        config = json.loads(
            support.asset("lm/stories260K/hf/config.json").read_text())
        (row,) = lines("model", self.model, "--gen=2", "--depth=99",
                       "--batch=4")
        heads = config["num_key_value_heads"]
        size = config["hidden_size"] // config["num_attention_heads"]
        kv = 2 * 2 * config["num_hidden_layers"] * heads * size
        self.assertEqual(row["kv_bytes"], kv)
        # All but the header: its embedding is the head too.
        data = (self.model / "model.safetensors").read_bytes()
        header = int.from_bytes(data[:8], "little")
        self.assertEqual(row["weight_bytes"], len(data) - 8 - header)
        self.assertEqual(row["bytes_per_token"],
                         row["weight_bytes"] / 4 + 101 * kv)

    def test_wrong_counts_and_names_are_refused(self):
        for arguments, text in (
            (("--prompt=8", "--gen=8"), "either a prompt"),
            ((), "either a prompt"),
            (("--gen=8", "--batch=0"), "batch"),
            (("--gen=8", "--depth=-1"), "all at most"),
            (("--test=nonsense",), "expected one of load"),
        ):
            done = bench("model", self.model, *arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(text, done.stderr)


class TableTest(unittest.TestCase):
    """What bench/run.py makes of measurements."""

    def show(self, rows, *options):
        text = "\n".join(map(json.dumps, rows))
        path = support.ROOT / "bench/run.py"
        done = subprocess.run(
            [sys.executable, path, "--show", "/dev/stdin", *options],
            input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def rows(self):
        rate = {"best": 20.0, "median": 10.0}
        peak = {"name": "fma", "unit": "GFLOP/s", "one_thread": rate,
                "all_threads": {"best": 200.0, "median": 100.0}}
        yield {"groups": {"4bit": [["skua", "a"], ["peer", "b"]]}}
        yield {"machine": {"cpu": "CPU", "threads": 2, "level": "avx2",
                           "features": ["avx_vnni"], "peaks": [peak],
                           "bandwidth": [
                               {"threads": 2, "pages": "huge", **rate}]},
               "commit": "abc", "date": "2000-01-01"}

        def sample(program, model, test, **more):
            return {"program": program, "model": model, "test": test,
                    "bandwidth": [rate, rate], "others_cpu": 0.0, **more}

        decode = {"bytes_per_token": 1e9}
        yield sample("skua", "a", "decode", tok_s=[16, 8], **decode)
        yield sample("skua", "a", "decode", tok_s=[5], **decode)
        yield sample("peer", "b", "decode", tok_s=[8, 4])
        yield sample("skua", "a", "prefill_512", tok_s=[50],
                     flop_per_token=2e9)
        yield sample("peer", "b", "prefill_512", note="over 300 s")
        yield sample("skua", "a", "first_token", seconds=[0.75, 0.5])
        yield sample("peer", "b", "first_token", seconds=[1.0])
        yield sample("skua", "a", "decode_one_thread", tok_s=[10])
        yield sample("skua", "a", "decode_busy", tok_s=[9])

    def test_figures_ratios_and_fractions(self):
        table = self.show(self.rows(), "--markdown").splitlines()
        cells = {}
        for line in table:
            if line.startswith("| "):
                name, *rest = (cell.strip() for cell in line[2:-2].split("|"))
                cells[name] = rest
        self.assertEqual(cells["decode"], [
            "16.0 / 8.00", "8.00 / 6.00", "2.00",
            "80 / 80 % of 20.0 / 10.0 GB/s"])
        self.assertEqual(cells["prefill_512"], [
            "50.0 / 50.0", "over 300 s", "", "50 % of 200 GFLOP/s fma"])
        self.assertEqual(cells["first_token (s)"][::2],
                         ["0.50 / 0.62", "2.00"])
        self.assertEqual(cells["decode_busy"][3], "0.90 x one thread alone")


if __name__ == "__main__":
    unittest.main()
