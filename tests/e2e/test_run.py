"""`skua run`: one answer, its options, streams and exit codes."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

import support

STATS = re.compile(
    r"prompt (\d+) tokens, [\d.]+ tokens/s \| generated (\d+) tokens, "
    r"[\d.]+ tokens/s \| first token after [\d.]+ s \| "
    r"peak memory [\d.]+ [kMG]B\n"
)
# Its answers are reference text, and it answers in milliseconds.
SMALL = "lm/stories260K/stories260K-v3-f32.gguf"


def golden_cases(file):
    path = support.asset("goldens/real/" + file)
    return json.loads(path.read_text(encoding="utf-8"))["cases"]


class AnswerTest(unittest.TestCase):
    """The default model against the reference's greedy text."""

    def setUp(self):
        self.model = support.model(support.SMOLLM2)
        cases = golden_cases("smollm2_135m.json")
        self.cases = {case["id"]: case for case in cases}

    def answer(self, *arguments, **options):
        done = support.skua("run", *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_default_model_gives_the_reference_answer_and_statistics(self):
        case = self.cases["capital"]
        done = self.answer(
            case["messages"][0]["content"],
            environment={"SKUA_MODEL": ""},
        )
        self.assertEqual(done.stdout, case["greedy_text"] + "\n")
        stats = STATS.fullmatch(done.stderr)
        self.assertTrue(stats, done.stderr)
        self.assertEqual(int(stats[1]), len(case["ids"]))
        self.assertEqual(int(stats[2]), case["eos_at"] + 1)

    def test_system_message_and_prompt_from_stdin(self):
        case = self.cases["system_list"]
        system, user = (m["content"] for m in case["messages"])
        done = self.answer("--system", system, "-", stdin=user + "\n")
        self.assertEqual(done.stdout, case["greedy_text"] + "\n")

    def test_long_and_unicode_answers_begin_as_the_reference(self):
        for name in ("python_code", "unicode"):
            case = self.cases[name]
            n = case["eos_at"] or 12
            done = self.answer(
                *("--json", "-n", n, "-q", "-m", self.model),
                stdin=case["messages"][-1]["content"],
            )
            answer = json.loads(done.stdout)
            with self.subTest(name):
                self.assertTrue(answer["text"])
                self.assertTrue(case["greedy_text"].startswith(answer["text"]))
                self.assertEqual(answer["prompt_tokens"], len(case["ids"]))

    def test_raw_continues_the_text_itself(self):
        case = golden_cases("gemma3_270m.json")[2]
        model = support.model(support.GEMMA3)
        done = self.answer(
            *("--raw", case["text"], "-m", model, "--json", "-n", 10)
        )
        answer = json.loads(done.stdout)
        self.assertEqual(answer["prompt_tokens"], len(case["ids"]))
        self.assertTrue(case["greedy_text"].startswith(answer["text"]))


class OptionsTest(unittest.TestCase):
    def setUp(self):
        self.model = support.asset(SMALL)
        expected = support.asset("lm/stories260K/expected.json").read_text()
        self.case = json.loads(expected)["cases"][1]

    def run_small(self, *arguments, **options):
        return support.skua("run", "-m", self.model, *arguments, **options)

    def text(self, *arguments, **options):
        done = self.run_small(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_prompt_is_argument_or_stdin(self):
        prompt = self.case["prompt"]
        expected = self.text(prompt, "-n", 20)
        self.assertGreater(len(expected), 20)
        self.assertTrue(self.case["text"].startswith(prompt + expected[:-1]))
        self.assertEqual(self.text("-n", 20, stdin=prompt), expected)
        self.assertEqual(self.text("-", "-n", 20, stdin=prompt), expected)

    def test_max_tokens(self):
        for n in (0, 1, 5):
            answer = json.loads(self.text("Once", "-n", n, "--json"))
            self.assertEqual(answer["generated_tokens"], n)
            self.assertEqual(answer["finish_reason"], "length")
            self.assertEqual(bool(answer["text"]), n > 0)

    def test_context_ends_the_answer(self):
        answer = json.loads(self.text("Once", "--ctx", 10, "--json"))
        total = answer["prompt_tokens"] + answer["generated_tokens"]
        self.assertEqual(answer["finish_reason"], "length")
        self.assertIn(total, (10, 11))

    def test_sampling_follows_the_seed(self):
        def sample(seed, *more):
            return self.text("Once", "-n", 30, "--seed", seed, *more)

        sampling = ("--temp", 1.2, "--top-p", 0.95)
        self.assertEqual(sample(1, *sampling), sample(1, *sampling))
        self.assertNotEqual(sample(1, *sampling), sample(2, *sampling))
        for narrow in (("--top-k", 1), ("--min-p", 1), ("--top-p", 1e-9)):
            self.assertEqual(sample(1, "--temp", 1.2, *narrow), sample(1))

    def test_every_type_of_cache_answers_alike(self):
        answers = {kind: self.text("Once", "-n", 12, "--kv-type", kind)
                   for kind in ("f32", "bf16", "f16", "int8", "int4")}
        self.assertEqual(answers["f16"], answers["f32"])
        self.assertEqual(answers["bf16"], self.text("Once", "-n", 12))
        self.assertTrue(all(answers.values()))
        for kind in ("int8", "int4"):
            options = ("--kv-quantize-from", 0, "--kv-quantized-type", kind)
            self.assertEqual(
                self.text("Once", "-n", 12, *options), answers[kind])

    def test_every_precision_answers(self):
        exact = self.text("Once", "-n", 12, "--exact")
        self.assertEqual(self.text("Once", "-n", 12), exact)
        self.assertTrue(self.text("Once " * 20, "-n", 12, "--fast"))

    def test_quiet_leaves_stderr_empty(self):
        self.assertEqual(self.run_small("hi", "-q", "-n", 1).stderr, "")
        self.assertRegex(self.run_small("hi", "-n", 1).stderr, STATS)

    def test_statistics_count_the_tokens(self):
        stats = STATS.fullmatch(self.run_small("Once", "-n", 7).stderr)
        self.assertEqual(int(stats[2]), 7)

    def test_no_colour_where_no_terminal_is(self):
        done = self.run_small("hi", "-n", 2, environment={"NO_COLOR": "1"})
        self.assertNotIn("\x1b", done.stdout + done.stderr)


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.model = support.asset(SMALL)

    def refused(self, code, *arguments, **options):
        text = options.pop("text", "")
        done = support.skua("run", "-m", self.model, *arguments, **options)
        with self.subTest(arguments):
            self.assertEqual(done.returncode, code)
            self.assertEqual(done.stdout, "")
            self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\] [^\n]+\n\Z")
            self.assertIn(text, done.stderr)

    def test_bad_option_values(self):
        for option, values in (
            ("--temp", ("-1", "nan", "inf", "warm")),
            ("--top-p", ("2", "-0.5", "nan")),
            ("--min-p", ("-1", "1.5")),
            ("--top-k", ("-1", "x", "99999999999")),
            ("--max-tokens", ("-1", "1e99", "")),
            ("--seed", ("-1", "x", "99999999999999999999999")),
            ("--kv-type", ("", "bf17", "0", "int5")),
            ("--kv-quantized-type", ("", "bf16", "4")),
            ("--ctx", ("-1", "513", "2000000000", "99999999999999")),
        ):
            for value in values:
                self.refused(2, option, value, "hi")

    def test_bad_usage(self):
        self.refused(2, "--no-such-option", "hi", text="skua --help")
        self.refused(2, "one", "two", text="two")
        self.refused(2, "--raw", "--system", "a", "b", text="--system")
        self.refused(2, "--fast", "--exact", "a", text="--exact")
        self.refused(2, "", text="prompt")
        self.refused(2, stdin="\n", text="prompt")
        self.assertEqual(support.skua().returncode, 2)
        self.assertEqual(support.skua("no-such-command").returncode, 2)

    def test_prompt_that_is_not_utf8(self):
        for more in ((), ("--raw",)):
            self.refused(
                2, "-", *more, stdin="caf\udce9", text="not UTF-8 at byte 4"
            )
        self.refused(2, b"\xff".decode(errors="surrogateescape"), text="UTF-8")

    def test_prompt_longer_than_the_context(self):
        long = "Once upon a time " * 9
        self.refused(2, "--ctx", 8, long, text="context of 8")
        self.refused(2, stdin="Once upon a time " * 900, text="context of 512")

    def test_hub_name_without_a_network(self):
        with tempfile.TemporaryDirectory() as home:
            for more, code, text in (
                ({"HF_HUB_OFFLINE": "1"}, 2, "HF_HUB_OFFLINE"),
                ({"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "127.0.0.1:9"),
            ):
                done = support.skua(
                    *("run", "-q", "-m", "org/name", "hi"),
                    environment={"HF_HOME": home, "HF_HUB_OFFLINE": "", **more},
                )
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
                self.assertIn(text, done.stderr)

    def test_cache_that_cannot_be_written(self):
        with tempfile.NamedTemporaryFile() as file:
            done = support.skua(
                *("pull", "org/name"),
                environment={
                    "HF_HOME": file.name,
                    "HF_HUB_OFFLINE": "",
                    "HF_ENDPOINT": "http://127.0.0.1:9",
                },
            )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")


class StreamTest(unittest.TestCase):
    """What happens to the streams while an answer is on its way."""

    def setUp(self):
        self.model = support.model(support.SMOLLM2)

    def start(self, *arguments, **options):
        process = subprocess.Popen(
            [support.PROGRAM, "run", "-q", *arguments, "-m", self.model],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **options,
            },
        )

        def end():
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

        self.addCleanup(end)
        return process

    def test_text_comes_before_the_answer_is_whole(self):
        process = self.start("Count from 1 to 100.", "-n", "2000")
        self.assertTrue(os.read(process.stdout.fileno(), 1))
        self.assertIsNone(process.poll())

    def test_interrupt_ends_it_with_130_and_one_line(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("Count from 1 to 100.", "-n", "2000")
            os.read(process.stdout.fileno(), 1)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130)
            self.assertEqual(errors, b"skua: [run] interrupted\n")

    def test_interrupt_while_the_prompt_is_read_gives_no_answer(self):
        with tempfile.TemporaryFile() as prompt:
            prompt.write(b"one two three four " * 1900)
            prompt.seek(0)
            process = self.start("-n", "3", stdin=prompt)
            time.sleep(0.7)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(out.strip(), b"")
        self.assertEqual(errors, b"skua: [run] interrupted\n")

    def test_reader_that_leaves_is_no_crash(self):
        process = self.start("Count from 1 to 100.", "-n", "2000")
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        process.wait(timeout=60)
        self.assertIn(process.returncode, (1, -signal.SIGPIPE))
        self.assertLessEqual(process.stderr.read().count(b"\n"), 1)

    def test_stdout_that_takes_nothing_is_an_error(self):
        for redirection in ("> /dev/full", ">&-"):
            for command in ("run -q -n 1 hi", "list", "tokenize hi"):
                done = subprocess.run(
                    f'"{support.PROGRAM}" {command} {redirection}',
                    shell=True,
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                with self.subTest(f"{command} {redirection}"):
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertRegex(done.stderr, rb"\Askua: [^\n]+\n\Z")


if __name__ == "__main__":
    unittest.main()
