"""The commands that print a model's numbers: probe, perplexity, score,
explain."""
import json
import math
import unittest

import support


class ProbeTest(support.ToolTest):
    def test_logits_and_greedy_ids_equal_the_reference(self):
        for name in ("llama", "qwen3", "gemma3_text", "llama_q4g64"):
            folder = support.asset("goldens/lm/" + name)
            expected = json.loads((folder / "expected.json").read_text())
            for chunk in (0, 5):
                with self.subTest(name, chunk=chunk):
                    self.check(folder, expected, chunk)

    def check(self, folder, expected, chunk):
        n = len(expected["greedy"])
        probe = self.json(
            *("probe", "logits", "--model", folder, "--at", "0,7"),
            *("--tokens", json.dumps(expected["prompt"])),
            *("--greedy", n, "--chunk", chunk),
        )
        self.assertEqual(
            list(probe), ["logits_last", "logits_at", "greedy", "greedy_top"]
        )
        delta = expected["tolerance"]
        self.near(probe["logits_last"], expected["logits_last"], delta)
        self.assertEqual(list(probe["logits_at"]), ["0", "7"])
        for at, logits in probe["logits_at"].items():
            self.near(logits, expected["logits_at"][at], delta)
        self.assertEqual(probe["greedy"], expected["greedy"])
        for mine, theirs in zip(
            probe["greedy_top"], expected["greedy_logits_top"], strict=True
        ):
            self.assertEqual(mine[0], theirs[0])
            self.near(mine[1::2], theirs[1::2], delta)

    # COMP-05
    def test_oracle(self):
        folder = support.asset("goldens/lm/gemma3_text")
        expected = json.loads((folder / "expected.json").read_text())
        probe = self.json(
            *("probe", "logits", "--model", folder, "--at", "0,7"),
            *("--tokens", json.dumps(expected["prompt"]), "--oracle"),
            *("--greedy", "3"),
        )
        delta = expected["tolerance"]
        self.near(probe["logits_last"], expected["logits_last"], delta)
        for at in ("0", "7"):
            self.near(
                probe["logits_at"][at], expected["logits_at"][at], delta
            )
        self.assertEqual(probe["greedy"], expected["greedy"][:3])
        self.refused(
            *(2, "--chunk", "probe", "logits", "-m", folder, "--oracle"),
            *("--tokens", "[1]", "--chunk", "2"),
        )

    def near(self, mine, theirs, delta):
        self.assertEqual(len(mine), len(theirs))
        worst = max(abs(a - b) for a, b in zip(mine, theirs))
        self.assertLessEqual(worst, delta)

    def test_without_greedy_and_positions(self):
        folder = support.asset("goldens/lm/llama")
        probe = self.json(
            "probe", "logits", "-m", folder, "--tokens", "[1]"
        )
        self.assertEqual(len(probe["logits_last"]), 101)
        self.assertEqual(probe["logits_at"], {})
        self.assertEqual(probe["greedy"], [])
        self.assertEqual(probe["greedy_top"], [])

    def test_bad_arguments(self):
        command = ("probe", "logits", "-m", support.asset("goldens/lm/llama"))
        for tokens in ('[1,"a"]', "[1.5]", "[-1]", "[99999999999]", "{", "3"):
            self.refused(2, "[--tokens]", *command, "--tokens", tokens)
        for tokens in ("[]", "[101]"):
            self.refused(2, "[tokens]", *command, "--tokens", tokens)
        for more in (
            *(("--at", "2"), ("--at", "-1"), ("--at", "x")),
            *(("--greedy", "-1"), ("--greedy", "x"), ("--chunk", "-1")),
        ):
            self.refused(2, "", *command, "--tokens", "[1,2]", *more)
        self.refused(2, "--tokens", *command)


class FilterTest(support.ToolTest):
    # GEN-11
    def test_all_reference_cases(self):
        golden = json.loads(
            support.asset("goldens/sampling/filters.json").read_text()
        )
        for case in golden["cases"]:
            with self.subTest(case["name"]):
                asked = {k: case[k] for k in ("logits", "history", "options")}
                self.check(asked, case["filtered"], golden["tolerance"])

    def check(self, asked, expected, delta):
        got = self.json("probe", "filter", stdin=json.dumps(asked))
        self.assertEqual(len(got), len(expected))
        for mine, theirs in zip(got, expected):
            self.assertEqual(mine is None, theirs is None)
            if mine is not None:
                # Seven digits are stored.
                self.assertLessEqual(
                    abs(mine - theirs), delta + 5e-7 * abs(theirs)
                )

    def test_reads_a_file(self):
        path = self.write("asked.json", {"logits": [0, None, 0, 0]})
        third = -1.0986123
        for arguments in ((path,), ("-",), ()):
            got = self.json(
                "probe", "filter", *arguments, stdin=path.read_text()
            )
            self.assertIsNone(got.pop(1))
            for value in got:
                self.assertAlmostEqual(value, third, places=6)

    # GEN-33
    def test_the_end_is_forbidden_before_min_tokens(self):
        asked = {"logits": [0, 0], "history": [1, 1, 1], "eos_ids": [0]}
        asked["options"] = {"min_tokens": 2}
        for n_generated, forbidden in ((0, True), (1, True), (2, False)):
            asked["n_generated"] = n_generated
            got = self.json("probe", "filter", stdin=json.dumps(asked))
            self.assertEqual(got[0] is None, forbidden)

    def test_bad_requests(self):
        for text, asked in (
            ("[request]", []),
            ('"logit"', {"logit": [1]}),
            ("[logits]", {}),
            ("[logits]", {"logits": []}),
            ("[logits]", {"logits": [1, "x"]}),
            ("[history] got 2", {"logits": [1, 2], "history": [2]}),
            ("[history] got -1", {"logits": [1, 2], "history": [-1]}),
            ("[eos_ids]", {"logits": [1, 2], "eos_ids": 1}),
            ("[n_generated]", {"logits": [1, 2], "n_generated": 1}),
            ("topp", {"logits": [1, 2], "options": {"topp": 1}}),
            ("suppress_ids: got 2", {
                "logits": [1, 2], "options": {"suppress_ids": [2]},
            }),
        ):
            self.refused(2, text, "probe", "filter", stdin=json.dumps(asked))
        self.refused(2, "[stdin]", "probe", "filter", stdin="{")
        # GEN-26
        asked = {"logits": [1, 2], "options": {"suppress_ids": [0, 1]}}
        self.refused(
            1, "suppress_ids", "probe", "filter", stdin=json.dumps(asked)
        )


class ScoreTest(support.ToolTest):
    # GEN-82
    def test_perplexity_of_a_text_equals_the_reference(self):
        model = support.model(support.SMOLLM2)
        golden = json.loads(
            support.asset("goldens/real/smollm2_135m.json").read_text()
        )["perplexity"]
        ids = golden["ids"][:33]
        text = self.json(
            *("tokenize", "-m", model, "--decode", "--json"), json.dumps(ids)
        )["text"]
        path = self.write("text.txt", text)
        shown = self.json("perplexity", path, "-m", model, "--json")
        want = math.exp(sum(golden["nll_first_32"]) / 32)
        self.assertAlmostEqual(shown["perplexity"] / want, 1, delta=1e-3)
        self.assertEqual(
            (shown["tokens"], shown["scored_tokens"], shown["windows"]),
            (33, 32, 1),
        )
        self.assertEqual((shown["context"], shown["stride"]), (2048, 1024))
        text = self.out("perplexity", "-", "-m", model, stdin=text)
        self.assertIn(f"{shown['perplexity']:.4f}", text)

    def test_windows(self):
        model = support.asset("lm/stories260K/hf")
        command = ("perplexity", "-", "-m", model, "--json")
        story = "Once upon a time, there was a little girl named Lily. " * 8
        whole = self.json(*command, stdin=story)
        self.assertEqual(whole["windows"], 1)
        self.assertEqual(whole["scored_tokens"], whole["tokens"] - 1)
        self.assertAlmostEqual(math.exp(whole["nll"]), whole["perplexity"])
        parts = self.json(
            *command, "--ctx", "32", "--stride", "32", stdin=story
        )
        n = parts["windows"]
        self.assertEqual(n, -(-whole["tokens"] // 32))
        self.assertEqual(parts["scored_tokens"], whole["tokens"] - n)
        self.assertGreater(parts["perplexity"], whole["perplexity"])
        for options in (
            *(("--ctx", "1"), ("--ctx", "-2"), ("--ctx", "513")),
            *(("--stride", "-1"), ("--ctx", "32", "--stride", "33")),
        ):
            self.refused(2, "expected", *command, *options, stdin=story)
        self.refused(2, "at least 2", *command, stdin="")
        self.refused(2, "UTF-8", *command, stdin="a\udcff")
        self.refused(2, "none.txt", "perplexity", "none.txt", "-m", model)

    def test_scores_of_continuations(self):
        model = support.asset("lm/stories260K/hf")
        command = ("score", "-m", model, "--context", "Once upon", "--json")
        shown = self.json(*command, "--continuation", " a time", " a dog")
        ids = self.json("tokenize", "-m", model, "--json", "Once upon")["ids"]
        self.assertEqual(shown["context_ids"], ids)
        time, dog = shown["continuations"]
        self.assertEqual((time["text"], dog["text"]), (" a time", " a dog"))
        self.assertTrue(time["is_greedy"])
        self.assertFalse(dog["is_greedy"])
        self.assertGreater(time["log_probability"], dog["log_probability"])
        for one in (time, dog):
            self.assertAlmostEqual(
                sum(one["token_log_probabilities"]), one["log_probability"]
            )
            self.assertEqual(
                len(one["token_log_probabilities"]), len(one["ids"])
            )
        # The same tokens by their logits.
        probe = self.json(
            *("probe", "logits", "-m", model, "--tokens", json.dumps(ids))
        )["logits_last"]
        total = math.log(sum(map(math.exp, probe)))
        self.assertAlmostEqual(
            dog["token_log_probabilities"][0],
            probe[dog["ids"][0]] - total,
            places=4,
        )
        text = self.out(*command[:-1], "--continuation", " a time")
        self.assertIn(f"{time['log_probability']:.4f}", text)
        self.refused(2, "continuation", *command, "--continuation", "")
        self.refused(2, "--continuation", *command)
        self.refused(2, "context", *command, "--continuation", " a" * 600)
        tiny = support.asset("goldens/lm/llama")
        self.refused(
            *(3, "tokenizer", "score", "-m", tiny),
            *("--context", "a", "--continuation", "b"),
        )


class ExplainTest(support.ToolTest):
    # COMP-15
    def test_json_has_every_field(self):
        folder = support.asset("goldens/lm/qwen3_q4g32")
        config = json.loads((folder / "config.json").read_text())
        e = self.json("explain", folder, "--ctx", "300", "--json")
        self.assertEqual(
            set(e),
            {
                *("path", "architecture", "format", "layers", "tensors"),
                *("matrices", "decode_nodes", "prefill_rows", "context"),
                *("cache", "bytes_per_token", "limit", "compiled", "profile"),
            },
        )
        self.assertEqual(e["architecture"], "qwen3")
        self.assertEqual(e["layers"], config["num_hidden_layers"])
        self.assertEqual(e["context"], 300)
        tensors = e["tensors"]
        self.assertEqual(
            set(tensors), {"used", "missing", "unused", "hidden"}
        )
        names = {t["name"]: t for t in tensors["used"]}
        up = names["model.layers.0.mlp.up_proj.weight"]
        self.assertEqual(up["type"], "uint32")
        self.assertEqual(up["shape"][0], config["intermediate_size"])
        self.assertEqual(tensors["missing"] + tensors["unused"], [])
        by_name = {m["name"]: m for m in e["matrices"]}
        up = by_name["model.layers.*.mlp.up_proj"]
        self.assertEqual(up["count"], config["num_hidden_layers"])
        self.assertEqual(up["format"], "affine, 4 bits in groups of 32")
        for phase in ("decode", "prefill"):
            self.assertTrue(up[phase])
        self.assertIn("append_and_attend", e["decode_nodes"]["ours"])
        self.assertGreater(e["prefill_rows"], 1)
        cache = e["cache"]
        self.assertEqual(
            sum(k["layers"] * k["bytes_per_layer"] for k in cache["kinds"]),
            cache["bytes"],
        )
        read = e["bytes_per_token"]
        self.assertEqual(read["weights"] + read["cache"], read["total"])
        limit = e["limit"]
        self.assertAlmostEqual(
            limit["tokens_per_s"] * read["total"],
            limit["read_gb_per_s"] * 1e9,
            delta=1e3,
        )
        self.assertGreater(limit["read_gb_per_s"], 0.1)
        compiled = e["compiled"]
        self.assertEqual(compiled["functions"], [])
        for count in ("bytes", "hits", "misses", "evictions"):
            self.assertEqual(compiled[count], 0, count)
        self.assertGreater(compiled["most_functions"], 0)
        self.assertIn("nothing", e["compiled"]["note"])

    def test_options(self):
        folder = support.asset("goldens/lm/qwen3_q4g32")

        def explained(*options):
            return self.json("explain", folder, "--json", *options)

        one = explained("--ctx", "256", "--kv-type", "f32")
        two = explained("--ctx", "512", "--kv-type", "f32", "--exact")
        self.assertEqual(2 * one["cache"]["bytes"], two["cache"]["bytes"])
        half = explained("--ctx", "256")
        self.assertEqual(one["cache"]["bytes"], 2 * half["cache"]["bytes"])
        for matrix in two["matrices"]:
            self.assertEqual(matrix["decode"], "float32 rows, decoded")
        for options in (("--ctx", "-1"), ("--ctx", "999999")):
            self.refused(2, "--ctx", "explain", folder, *options)

    def test_text_says_the_same(self):
        text = self.out("explain", support.model(support.SMOLLM2))
        for part in (
            *("0 missing", "model.layers.*.mlp.up_proj", "48"),
            *("30 append_and_attend", "for 2048 tokens", "tokens/s"),
        ):
            self.assertIn(part, text)


if __name__ == "__main__":
    unittest.main()
