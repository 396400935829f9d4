"""Profiles beside the weights, `--warmup` and `run --oracle`."""
import json
import pathlib
import re
import tempfile
import unittest

import support

SMALL = "lm/stories260K/stories260K-v3-f32.gguf"


class ProfileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.model = self.folder / "model.gguf"
        self.model.symlink_to(support.asset(SMALL).resolve())
        self.file = self.folder / "skua.toml"

    def skua(self, command, *arguments, **options):
        done = support.skua(command, *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def answer(self, *arguments):
        done = self.skua(
            *("run", "-q", "--json", "-m", self.model, "Once", *arguments)
        )
        return json.loads(done.stdout)

    def explained(self, *arguments):
        done = self.skua("explain", self.model, "--json", *arguments)
        return json.loads(done.stdout)

    def refused(self, text, line, part):
        self.file.write_text(text)
        commands = (
            ("run", "-m", self.model, "hi"),
            ("chat", "-m", self.model),
            ("explain", self.model),
            ("score", "-m", self.model, "--context", "a", "--continuation", "b"),
        )
        for command in commands:
            done = support.skua(*command)
            with self.subTest(command[0]):
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"skua.toml:{line}]", done.stderr)
                self.assertIn(part, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    # COMP-14
    def test_a_good_file_holds_everywhere(self):
        plain = self.explained("--ctx", 64)
        self.assertIsNone(plain["profile"]["file"])
        for section in ("prefill", "decode"):
            for key, one in plain["profile"][section].items():
                expected = "command line" if key == "context" else "default"
                self.assertEqual(one["from"], expected)
        self.file.write_text(
            '[prefill]\ndtype = "exact"\n\n'
            '[decode]\nkv_type = "f32"\ncontext = 64\n'
        )
        e = self.explained()
        self.assertEqual(e["profile"]["file"], str(self.file))
        self.assertEqual(e["context"], 64)
        self.assertEqual(e["cache"]["bytes"], 2 * plain["cache"]["bytes"])
        profile = e["profile"]
        self.assertEqual(profile["prefill"]["dtype"]["value"], "exact")
        self.assertEqual(
            profile["decode"]["kv_type"],
            {"value": "f32", "from": f"{self.file}:5"},
        )
        text = self.skua("explain", self.model).stdout
        self.assertIn(f"decode.kv_type = f32 ({self.file}:5)", text)
        self.assertIn("prefill.chunk = 2048 (default)", text)
        answer = self.answer()
        total = answer["prompt_tokens"] + answer["generated_tokens"]
        self.assertIn(total, (64, 65))

    # COMP-14
    def test_an_unknown_key(self):
        self.refused('[decode]\nkv_tpye = "f16"\n', 2, "'kv_tpye'")

    # COMP-14
    def test_a_bad_value(self):
        self.refused("[prefill]\n\nchunk = -1\n", 3, "prefill.chunk is -1")

    # COMP-14
    def test_bad_syntax(self):
        self.refused("[decode]\ncontext = = 1\n", 2, "TOML")

    # COMP-14
    def test_the_command_line_goes_over_the_file(self):
        self.file.write_text(
            '[prefill]\ndtype = "exact"\n'
            "[decode]\ncontext = 64\nmax_kv_size = 32\n"
        )
        answer = self.answer("--ctx", 20)
        total = answer["prompt_tokens"] + answer["generated_tokens"]
        self.assertIn(total, (20, 21))
        for option, section, key, value in (
            ("--ctx", "decode", "context", "0"),
            ("--max-kv-size", "decode", "max_kv_size", "0"),
            ("--kv-keep", "decode", "kv_keep", "7"),
            ("--kv-type", "decode", "kv_type", "int8"),
            ("--kv-type", "decode", "kv_type", "int4"),
            ("--kv-quantize-from", "decode", "kv_quantize_from", "0"),
            ("--kv-quantized-type", "decode", "kv_quantized_type", "int4"),
            ("--precision", "prefill", "dtype", "default"),
        ):
            e = self.explained(option, value)
            self.assertEqual(
                e["profile"][section][key],
                {"value": value, "from": "command line"},
            )
        unbounded = self.explained("--ctx", 512, "--max-kv-size", 0)["cache"]
        bounded = self.explained("--ctx", 512)["cache"]
        self.assertEqual(bounded["kinds"][0]["window"], 28)
        self.assertEqual(bounded["kinds"][0]["keep"], 4)
        self.assertEqual(unbounded["kinds"][0]["window"], 0)

    # COMP-17
    def test_warm_up_is_asked_for_and_reported(self):
        said = re.compile(r"warm-up took \d+\.\d\d s\n")
        self.assertNotIn("warmup_s", self.answer("-n", 2))
        warm, cold = self.answer("-n", 9, "--warmup"), self.answer("-n", 9)
        self.assertGreater(warm["warmup_s"], 0)
        self.assertEqual(warm["token_ids"], cold["token_ids"])
        lines = self.folder / "in.jsonl"
        lines.write_text('{"prompt": "Once"}\n')
        for command in (
            ("run", "hi"),
            ("chat",),
            ("batch", lines, self.folder / "out.jsonl"),
        ):
            arguments = (*command, "-m", self.model, "-n", 2)
            with self.subTest(command[0]):
                done = self.skua(*arguments, "--warmup")
                self.assertRegex(done.stderr, said)
                self.assertNotRegex(self.skua(*arguments).stderr, said)

    # COMP-05
    def test_the_oracle_gives_the_reference_text_as_exact_does(self):
        expected = support.asset("lm/stories260K/expected.json").read_text()
        cases = [c for c in json.loads(expected)["cases"] if c["prompt"]]
        self.assertGreater(len(cases), 1)
        for case in cases:
            arguments = ("run", "-m", self.model, "--raw", "-q", "-n", 40)
            with self.subTest(case["prompt"]):
                texts = {
                    flag: self.skua(*arguments, flag, stdin=case["prompt"])
                    for flag in ("--oracle", "--exact")
                }
                text = texts["--oracle"].stdout
                self.assertEqual(text, texts["--exact"].stdout)
                whole = case["prompt"] + text[:-1]
                self.assertTrue(case["text"].startswith(whole), whole)
                self.assertGreater(len(text), 60)

    def test_the_oracle_stands_alone(self):
        for more in (
            ("--draft", self.model),
            ("--prompt-cache", self.folder / "cache"),
            ("--fast",),
            ("--precision", "default"),
        ):
            done = support.skua("run", "-m", self.model, "--oracle", *more, "a")
            self.assertEqual(done.returncode, 2, more)
            self.assertIn("--oracle", done.stderr)


if __name__ == "__main__":
    unittest.main()
