"""Generation options: the same rules on every way in, and what they do."""
import json
import math
import pathlib
import tempfile
import unittest

import support

SMALL = "lm/stories260K/stories260K-v3-f32.gguf"
BAD = support.ROOT / "tests/bad_options.json"


class OptionsTest(unittest.TestCase):
    def setUp(self):
        self.model = support.asset(SMALL)
        temporary = tempfile.TemporaryDirectory(prefix="skua-options-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_small(self, *arguments, **options):
        return support.skua("run", "-m", self.model, *arguments, **options)

    def answer(self, *arguments, **options):
        done = self.run_small("-q", "--json", *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def batch(self, rows, *arguments):
        given, taken = self.folder / "in.jsonl", self.folder / "out.jsonl"
        given.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = support.skua(
            *("batch", given, taken, "-q", "--overwrite", "-m", self.model),
            *arguments,
        )
        return done, [json.loads(s) for s in taken.read_text().splitlines()]


class BadValueTest(OptionsTest):
    """One table; Options.RefusesTheTableOfBadValues is the library's."""

    def setUp(self):
        super().setUp()
        self.table = json.loads(BAD.read_text())

    def test_run_refuses_them(self):
        """GEN-09"""
        for name, text, _, message in self.table:
            flag = "--" + name.replace("_", "-")
            # The model is not even looked for.
            done = support.skua("run", "-m", "none", flag, text, "Once")
            with self.subTest(name, text=text):
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stderr, f"skua: [options] {message}\n")

    def test_chat_refuses_them(self):
        """GEN-09: and keeps the values that it has."""
        lines = ["/set"]
        for name, text, _, _ in self.table:
            lines.append(f"/set {name.replace('_', '-')} {text}")
        done = support.skua(
            *("chat", "-q", "-n", "2", "-m", self.model),
            stdin="\n".join([*lines, "/set", ""]),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = done.stderr.splitlines()
        n_set = (len(shown) - len(self.table)) // 2
        self.assertEqual(shown[:n_set], shown[-n_set:])
        self.assertEqual(
            shown[n_set:-n_set],
            [f"skua: [options] {message}" for *_, message in self.table],
        )

    def test_batch_refuses_them(self):
        """GEN-09: in the options of a line, which fails alone."""
        rows = [
            {"prompt": "Once", "options": {name: value}}
            for name, _, value, _ in self.table
        ]
        done, results = self.batch([*rows, {"prompt": "Once"}], "-n", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(results.pop()["text"])
        for (*_, message), result in zip(self.table, results, strict=True):
            self.assertEqual(result["error"], "[options] " + message)

    def test_all_that_is_wrong_is_reported_together(self):
        """GEN-07"""
        done = self.run_small("Once", "--top-p", 2, "--temp", -1, "--min-p", 3)
        for name in ("temperature: got -1", "top_p: got 2", "min_p: got 3"):
            self.assertIn(name, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)


class EffectTest(OptionsTest):
    def test_temperature_changes_the_text_and_the_seed_repeats_it(self):
        """COMP-29"""
        def text(*options):
            return self.answer("Once", "-n", 30, *options)["text"]

        greedy = text()
        self.assertEqual(text("--seed", 5), greedy)
        hot = text("--temp", 1.3, "--seed", 5)
        self.assertNotEqual(hot, greedy)
        self.assertEqual(text("--temp", 1.3, "--seed", 5), hot)
        self.assertNotEqual(text("--temp", 1.3, "--seed", 6), hot)

    def test_seed_that_was_drawn_is_reported_and_repeats_the_text(self):
        """GEN-29, COMP-29"""
        first = self.answer("Once", "-n", 30, "--temp", 1.3)
        other = self.answer("Once", "-n", 30, "--temp", 1.3)
        self.assertNotEqual(first["seed"], other["seed"])
        again = self.answer("Once", "-n", 30, "--temp", 1.3,
                            "--seed", first["seed"])
        self.assertEqual(again["text"], first["text"])
        self.assertEqual(again["seed"], first["seed"])
        self.assertIsNone(self.answer("Once", "-n", 3)["seed"])
        done = self.run_small("Once", "-n", 3, "--temp", 1.3)
        self.assertRegex(done.stderr, r" \| seed \d+\n\Z")
        done = self.run_small("Once", "-n", 3, "--temp", 1.3, "--seed", 4)
        self.assertNotIn("seed", done.stderr)

    def test_command_line_goes_over_the_model_and_that_over_defaults(self):
        source = support.asset("lm/stories260K/hf")
        model = self.folder / "model"
        model.mkdir()
        for file in source.iterdir():
            (model / file.name).symlink_to(file.resolve())
        config = model / "generation_config.json"
        config.unlink(missing_ok=True)

        def text(config_json, *options):
            config.write_text(json.dumps({"eos_token_id": 2, **config_json}))
            done = support.skua(
                *("run", "-q", "--json", "-m", model, "-n", 30, "--seed", 5),
                *(*options, "Once"),
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)["text"]

        sampling = {"do_sample": True, "temperature": 1.3}
        greedy, hot = text({}), text({}, "--temp", 1.3)
        self.assertNotEqual(hot, greedy)
        self.assertEqual(text(sampling), hot)
        self.assertEqual(text({**sampling, "do_sample": False}), greedy)
        self.assertEqual(text(sampling, "--temp", 0), greedy)

    def test_options_may_stand_before_the_prompt(self):
        for flags in (("-n", 5), ("--stop", "x"), ("--stop-ids", "5,6"),
                      ("--logit-bias", "5=1,6=-inf")):
            before = self.answer("-n", 5, *flags, "Once")["text"]
            self.assertEqual(self.answer("Once", "-n", 5, *flags)["text"],
                             before)

    def test_stop_is_named_and_cut_off(self):
        """GEN-56"""
        whole = self.answer("Once", "-n", 40)["text"]
        at = whole.index("the ")
        for include, end in ((False, at), (True, at + 4)):
            more = ("--include-stop",) if include else ()
            got = self.answer("Once", "-n", 40, "--stop", "zebra", "--stop",
                              "the ", *more)
            self.assertEqual(got["text"], whole[:end])
            self.assertEqual(got["finish_reason"], "stop")
            self.assertEqual((got["stop"], got["stop_id"]), ("the ", None))
        done = self.run_small("Once", "-n", 40, "--stop", "the ")
        self.assertTrue(done.stderr.endswith(" | stopped at 'the '\n"))

    def test_stop_ids_end_it_and_are_named(self):
        ids = self.answer("Once", "-n", 9)["token_ids"]
        got = self.answer("Once", "-n", 9, "--stop-ids", f"511,{ids[5]}")
        first = ids.index(ids[5])
        self.assertEqual(got["token_ids"], ids[: first + 1])
        self.assertEqual((got["stop"], got["stop_id"]), (None, ids[5]))
        self.assertEqual(got["finish_reason"], "stop")

    def test_bias_suppressed_and_forced_tokens(self):
        ids = self.answer("Once", "-n", 5)["token_ids"]
        for flags in (("--suppress-ids", ids[0]),
                      ("--logit-bias", f"{ids[0]}=-inf")):
            got = self.answer("Once", "-n", 5, *flags)["token_ids"]
            self.assertNotIn(ids[0], got)
        got = self.answer("Once", "-n", 5, "--force-ids", "400,401")
        self.assertEqual(got["token_ids"][:2], [400, 401])


class ResultTest(OptionsTest):
    KEYS = {
        *("text", "token_ids", "finish_reason", "stop", "stop_id", "seed"),
        *("prompt_tokens", "cached_tokens", "generated_tokens", "prompt_s"),
        *("first_token_s", "generate_s", "prompt_tokens_per_s"),
        *("generated_tokens_per_s", "peak_memory_bytes"),
    }

    def test_memory_is_that_of_the_program_and_not_of_its_parent(self):
        """GEN-60"""
        ballast = b"x" * 300_000_000
        got = self.answer("Once", "-n", 1)
        self.assertLess(got["peak_memory_bytes"], len(ballast) // 2)

    def test_json_holds_all_of_the_result(self):
        """GEN-60"""
        got = self.answer("Once", "-n", 9)
        self.assertEqual(set(got), self.KEYS)
        self.assertEqual(len(got["token_ids"]), 9)
        self.assertEqual(got["generated_tokens"], 9)
        self.assertEqual(got["cached_tokens"], 0)
        self.assertGreater(got["peak_memory_bytes"], 1_000_000)
        self.assertGreaterEqual(got["first_token_s"], got["prompt_s"])
        self.assertAlmostEqual(
            got["generated_tokens_per_s"] * got["generate_s"], 8, places=3
        )

    def test_token_ids_are_those_of_the_text(self):
        tokens = json.loads(
            support.skua("tokenize", "-m", self.model, "--json",
                         "Once upon a time").stdout
        )
        ids = tokens["ids"] if isinstance(tokens, dict) else tokens
        raw = self.answer("--raw", "Once upon a", "-n", 9)
        self.assertEqual(raw["prompt_tokens"], len(ids) - 1)
        self.assertEqual(raw["token_ids"][0], ids[-1])

    def test_logprobs_of_the_likeliest_tokens(self):
        """GEN-61: the sums and the order that probabilities have."""
        got = self.answer("Once", "-n", 6, "--logprobs", "--top-logprobs", 512)
        self.assertEqual([e["id"] for e in got["logprobs"]], got["token_ids"])
        for entry in got["logprobs"]:
            top = entry["top"]
            self.assertEqual(
                (top[0]["id"], top[0]["logprob"]),
                (entry["id"], entry["logprob"]),
            )
            values = [other["logprob"] for other in top]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertAlmostEqual(sum(map(math.exp, values)), 1, places=4)
            self.assertEqual(len({other["id"] for other in top}), 512)
        text = "".join(e["text"] for e in got["logprobs"])
        self.assertEqual(text.strip(), got["text"].strip())

    def test_logprobs_are_there_only_where_asked_for(self):
        got = self.answer("Once", "-n", 3, "--logprobs")
        self.assertEqual([*got["logprobs"][0]], ["id", "text", "logprob"])
        self.assertNotIn("prompt_logprobs", got)
        got = self.answer("Once", "-n", 3, "--prompt-logprobs")
        self.assertEqual(len(got["prompt_logprobs"]), got["prompt_tokens"] - 1)
        self.assertTrue(all(p <= 0 for p in got["prompt_logprobs"]))
        self.assertNotIn("logprobs", got)

    def test_logprobs_in_a_batch_are_those_of_run(self):
        """GEN-68"""
        options = {"logprobs": True, "top_logprobs": 3,
                   "prompt_logprobs": True, "temperature": 0.9, "seed": 4}
        prompts = ("Once", "Once upon a time there was", "The big dog")
        _, results = self.batch(
            [{"prompt": prompt, "options": options} for prompt in prompts],
            *("-n", 12),
        )
        for prompt, result in zip(prompts, results, strict=True):
            alone = self.answer(
                *(prompt, "-n", 12, "--logprobs", "--top-logprobs", 3),
                *("--prompt-logprobs", "--temp", 0.9, "--seed", 4),
            )
            for key in ("text", "token_ids", "logprobs", "prompt_logprobs"):
                self.assertEqual(result[key], alone[key])


class HelpTest(unittest.TestCase):
    def test_help_groups_the_options_and_shows_their_defaults(self):
        for command in ("run", "chat", "batch"):
            text = support.skua(command, "--help").stdout
            headings = [
                line[:-1] for line in text.splitlines()
                if line.endswith(":") and not line.startswith(" ")
            ]
            for heading in ("Length", "Sampling", "Biases and penalties",
                            "Ending", "Results"):
                self.assertEqual(headings.count(heading), 1, heading)
            for option in ("--max-tokens NUMBER=1024", "--top-k NUMBER=0",
                           "--repetition-window NUMBER=20", "--stop TEXT"):
                self.assertIn(option, text)


if __name__ == "__main__":
    unittest.main()
