"""`skua batch`: a file of prompts, its order, its errors, going on after a
kill."""
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import support

SMALL = "lm/stories260K/stories260K-v3-f32.gguf"
ANSWER = ("text", "token_ids", "finish_reason", "stop", "stop_id", "seed",
          "prompt_tokens", "generated_tokens")


def lines(n):
    """Prompts of uneven length with options of all kinds."""
    options = (
        {},
        {"temperature": 1.2, "seed": 7},
        {"max_tokens": 3},
        {"temperature": 0.8, "top_p": 0.9, "seed": 18446744073709551615},
        {"stop": [".", "and"]},
        {"max_tokens": 0},
        {"stop": "was", "include_stop": True, "max_tokens": None},
    )
    return [
        {
            "id": f"row {i}",
            "prompt": "Once upon a time " + "there was " * (i * 5 % 11),
            "raw": i % 3 == 0,
            "options": options[i % len(options)],
        }
        for i in range(n)
    ]


class BatchTest(unittest.TestCase):
    def setUp(self):
        self.model = support.asset(SMALL)
        temporary = tempfile.TemporaryDirectory(prefix="skua-batch-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.input = self.folder / "in.jsonl"
        self.output = self.folder / "out.jsonl"

    def write(self, rows):
        text = "".join(
            (row if isinstance(row, str) else json.dumps(row)) + "\n"
            for row in rows
        )
        self.input.write_text(text)

    def batch(self, *arguments, code=0, **options):
        done = support.skua(
            *("batch", self.input, self.output, "-m", self.model),
            *arguments,
            **options,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        return done

    def results(self, output=None):
        text = (output or self.output).read_text()
        self.assertTrue(text == "" or text.endswith("\n"))
        rows = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([row["index"] for row in rows], [*range(len(rows))])
        return rows

    def run_alone(self, row, *arguments):
        """What `skua run` says to a line of the input."""
        flags = ["--raw"] if row.get("raw") else []
        for name, value in row.get("options", {}).items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                flags.append(flag)
            elif value is not None:
                for one in value if isinstance(value, list) else [value]:
                    flags += [flag, one]
        done = support.skua(
            *("run", "-q", "--json", "-m", self.model, *arguments, *flags),
            row["prompt"],
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class AnswerTest(BatchTest):
    def check_rows(self, rows, *arguments):
        results = self.results()
        self.assertEqual(len(results), len(rows))
        for row, result in zip(rows, results):
            self.assertEqual(result["id"], row["id"])
            alone = self.run_alone(row, *arguments)
            with self.subTest(row):
                for key in ANSWER:
                    self.assertEqual(result[key], alone[key], key)

    def test_each_row_is_in_its_place_and_equals_skua_run(self):
        """GEN-69, GEN-64, GEN-68: own options, seeds, stops and budgets."""
        rows = lines(15)
        self.write(rows)
        for parallel in (1, 4):
            self.batch("-n", 24, "--parallel", parallel, "--overwrite")
            self.check_rows(rows, "-n", 24)
        reasons = {row["finish_reason"] for row in self.results()}
        self.assertEqual(reasons, {"length", "stop"})
        self.assertIn("and", [row["stop"] for row in self.results()])

    def test_options_of_the_command_line_are_the_defaults_of_a_line(self):
        rows = [
            {"id": 1, "prompt": "Once"},
            {"id": 2, "prompt": "Once", "options": {"temperature": 0}},
            {"id": 3, "prompt": "Once", "raw": False},
        ]
        self.write(rows)
        given = ("-n", 9, "--temp", 1.5, "--seed", 3)
        self.batch(*given, "--raw")
        raw = self.results()
        self.assertNotEqual(raw[0]["text"], raw[1]["text"])
        for row, result in zip(rows, raw):
            row.setdefault("raw", True)
            alone = self.run_alone(row, *given)
            self.assertEqual(result["text"], alone["text"])

    def test_messages_and_system(self):
        def user(text):
            return {"role": "user", "content": text}

        system = {"role": "system", "content": "Be brief."}
        self.write([
            {"prompt": "Once"},
            {"messages": [user("Once")]},
            {"messages": [system, user("Once")]},
            {"messages": [user("a"), {"role": "assistant", "content": "b"},
                          user("Once")]},
        ])
        self.batch("-n", 5)
        plain = self.results()
        self.batch("-n", 5, "--system", "Be brief.", "--overwrite")
        system = self.results()
        n_tokens = [row["prompt_tokens"] for row in plain]
        self.assertEqual(plain[0]["text"], plain[1]["text"])
        self.assertGreater(n_tokens[2], n_tokens[1])
        self.assertGreater(n_tokens[3], n_tokens[1])
        self.assertEqual(
            [row["prompt_tokens"] for row in system[:3]], [n_tokens[2]] * 3
        )

    def test_lines_come_from_stdin_as_they_are_there(self):
        """A row is answered before the next line is written."""
        process = subprocess.Popen(
            [support.PROGRAM, "batch", "-", self.output, "-q", "-n", "5",
             "-m", self.model],
            stdin=subprocess.PIPE,
        )
        self.addCleanup(process.kill)
        for n in (1, 2, 3):
            process.stdin.write(b'{"prompt": "Once"}\n')
            process.stdin.flush()
            wait_for_lines(self.output, n)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(len(self.results()), 3)

    def test_no_lines_give_an_empty_file(self):
        self.write([])
        self.batch()
        self.assertEqual(self.output.read_bytes(), b"")

    def test_statistics(self):
        self.write([{"prompt": "Once"}, "x"])
        done = self.batch("-n", 5)
        self.assertRegex(
            done.stderr,
            r"\A2 rows, 1 failed \| generated 5 tokens, [\d.]+ tokens/s\n"
            r"skua: \[batch\] 1 of 2 rows failed; [^\n]+\n\Z",
        )
        done = self.batch("-n", 5, "-q", "--overwrite")
        self.assertRegex(done.stderr, r"\Askua: \[batch\] 1 of 2 [^\n]+\n\Z")


class BadLineTest(BatchTest):
    BAD = (
        ("{bad", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ({"id": 4}, "either prompt or messages"),
        ({"prompt": "a", "messages": []}, "either prompt or messages"),
        ({"id": [1, {}], "prompt": ""}, "[prompt] is empty"),
        ({"prompt": 5}, "[prompt] expected a text"),
        ({"prompt": "a", "option": {}}, "option"),
        ({"prompt": "a", "raw": 1}, "raw"),
        ({"prompt": "a", "options": []}, "[options] expected an object"),
        ({"prompt": "a", "options": {"topp": 1}}, "topp: got an unknown"),
        ({"prompt": "a", "options": {"top_p": 2}}, "top_p: got 2"),
        ({"prompt": "a", "options": {"prompt_lookup": 5}}, "true or false"),
        ({"prompt": "a", "options": {"stop_ids": [512]}}, "0 to 511"),
        ({"prompt": "a", "options": {"max_tokens": 600}}, "context of 512"),
        ({"prompt": "Once upon a time " * 900}, "context of 512"),
        ({"messages": []}, "expected a list of"),
        ({"messages": [{"role": "user"}]}, "has no 'content'"),
        ({"messages": [{"role": "user", "content": 1}]}, "[0].content]"),
        ({"messages": [{"role": "user", "content": "a"}], "raw": True}, "raw"),
        ("[" * 1000, "nested too deep"),
        ('{"prompt": "\\ud800"}', "not valid JSON"),
        ({"prompt": "a", "options": {"x" * 5000: 1}}, "unknown option"),
    )

    def test_bad_line_fails_alone_and_says_why(self):
        """GEN-67, GEN-69: between good lines, whose answers are the same."""
        good = {"id": "good", "prompt": "Once", "options": {"max_tokens": 5}}
        rows = [good]
        for bad, _ in self.BAD:
            rows += [bad, good]
        self.write(rows)
        done = self.batch()
        self.assertIn(f"{len(self.BAD)} of {len(rows)} rows failed",
                      done.stderr)
        results = self.results()
        expected = self.run_alone(good)["text"]
        for result in results[::2]:
            self.assertEqual(result["text"], expected)
        for (bad, why), result in zip(self.BAD, results[1::2], strict=True):
            with self.subTest(str(bad)[:60]):
                self.assertEqual(list(result), ["index", "id", "error"])
                self.assertIn(why, result["error"])
                self.assertLess(len(result["error"]), 1100)
                given = bad.get("id") if isinstance(bad, dict) else None
                self.assertEqual(result["id"], given)

    def test_bytes_that_are_not_utf8_and_a_line_of_another_system(self):
        self.input.write_bytes(b'{"prompt": "caf\xe9"}\n'
                               b'{"prompt": "Once"}\r\n{"prompt": "Once"}')
        self.batch("-n", 3)
        bad, *good = self.results()
        self.assertIn("not valid JSON", bad["error"])
        self.assertEqual(good[0]["text"], good[1]["text"])

    def test_line_beyond_the_bound_is_skipped(self):
        with open(self.input, "wb") as file:
            file.write(b'{"prompt": "')
            for _ in range(65):
                file.write(b"a" * (1 << 20))
            file.write(b'"}\n{"prompt": "Once"}\n')
        self.batch("-n", 3)
        long, good = self.results()
        self.assertIn("longer than 64 MiB", long["error"])
        self.assertTrue(good["text"])

    def test_lines_of_all_lengths_keep_their_ids(self):
        """Also those that lie across the pieces in which a file is read."""
        rows = [{"id": str(n * 7919 % 997) * (n * 31 % 90), "prompt": ""}
                for n in range(3000)]
        rows[1234]["id"] = "x" * 300_000
        self.write(rows)
        self.batch("-q", code=1)
        self.assertEqual([row["id"] for row in self.results()],
                         [row["id"] for row in rows])

    def test_all_lines_bad_is_a_failure(self):
        self.write(["x", "y"])
        for _ in range(2):
            done = self.batch("-q", code=1)
            self.assertRegex(done.stderr, r"\Askua: \[batch\] all 2 rows [^\n]+"
                                          r"\n\Z")
        self.assertEqual(len(self.results()), 2)


def wait_for_lines(path, n, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not path.exists() or path.read_bytes().count(b"\n") < n:
        if time.monotonic() > end:
            raise AssertionError(f"fewer than {n} lines in {path}")
        time.sleep(0.002)


class ResumeTest(BatchTest):
    N = 24

    def setUp(self):
        super().setUp()
        self.rows = lines(self.N)
        self.rows[5] = "bad"
        self.write(self.rows)
        self.batch("-n", 40)
        self.whole = self.output.read_bytes()
        self.output.unlink()

    def stopped_by(self, number, n_given):
        """Gives n lines of the input, and the signal before the next."""
        given = self.input.read_bytes().splitlines(keepends=True)
        process = subprocess.Popen(
            [support.PROGRAM, "batch", "-", self.output, "-n", "40",
             "--parallel", "4", "-m", self.model],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        process.stdin.write(b"".join(given[:n_given]))
        process.stdin.flush()
        wait_for_lines(self.output, n_given)
        process.send_signal(number)
        process.wait(timeout=60)
        process.stdin.close()
        return process

    def test_run_that_was_killed_at_half_goes_on(self):
        """GEN-69: the file is that of a run which was not stopped."""
        process = self.stopped_by(signal.SIGKILL, self.N // 2)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertEqual(len(self.results()), self.N // 2)
        done = self.batch("-n", 40)
        self.assertIn(f"{self.N // 2} rows are done already", done.stderr)
        self.assertEqual(self.output.read_bytes(), self.whole)

    def test_interrupt_leaves_whole_lines_and_130(self):
        process = self.stopped_by(signal.SIGINT, 7)
        self.assertEqual(process.returncode, 130)
        self.assertTrue(
            process.stderr.read().endswith(b"skua: [batch] interrupted\n")
        )
        self.assertEqual(len(self.results()), 7)
        self.batch("-n", 40)
        self.assertEqual(self.output.read_bytes(), self.whole)

    def test_interrupt_in_the_middle_of_answers(self):
        process = subprocess.Popen(
            [support.PROGRAM, "batch", self.input, self.output, "-q",
             "-n", "400", "--ignore-eos", "--parallel", "2", "-m", self.model],
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        wait_for_lines(self.output, 1)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        self.assertEqual(process.returncode, 130)
        n_done = len(self.results())
        self.assertLess(n_done, self.N)

    def test_torn_line_is_written_anew(self):
        """GEN-69: wherever the last line is cut off."""
        ends = [i + 1 for i, c in enumerate(self.whole) if c == ord("\n")]
        begin, end = ends[-3], ends[-2]
        for cut in (begin, begin + 1, begin + 9, begin + 12,
                    (begin + end) // 2, end - 1, end, 3, 0):
            self.output.write_bytes(self.whole[:cut])
            with self.subTest(cut - begin):
                self.batch("-n", 40)
                self.assertEqual(self.output.read_bytes(), self.whole)

    def test_finished_run_loads_no_model(self):
        self.output.write_bytes(self.whole)
        done = support.skua(
            *("batch", self.input, self.output, "-m", self.folder / "none")
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.output.read_bytes(), self.whole)

    def test_other_model_or_options_do_not_go_on(self):
        """GEN-69: the error names what differs, and the file stays."""
        half = b"".join(self.whole.splitlines(keepends=True)[: self.N // 2])
        first = json.loads(self.whole.splitlines()[0])
        self.assertEqual(first["run"]["max_tokens"], "40")
        other = support.asset("lm/stories260K/stories260K-v3-q8_0.gguf")
        for arguments, text in (
            (("-n", 41), "max_tokens was '40' and is '41'"),
            (("-n", 40, "--temp", 1), "temperature was the default and is '1'"),
            (("-n", 40, "--system", "Be brief."),
             "system was the default and is 'Be brief.'"),
            (("-n", 40, "--raw"), "raw was the default and is 'true'"),
            (("-n", 40, "--kv-type", "int8"),
             "decode.kv_type was 'bf16' and is 'int8'"),
            (("-n", 41, "--top-p", 0.5),
             "is '41', top_p was the default and is '0.5'; --overwrite"),
        ):
            self.output.write_bytes(half)
            with self.subTest(text):
                done = self.batch(*arguments, code=2)
                self.assertIn(text, done.stderr)
                self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
                self.assertEqual(self.output.read_bytes(), half)
        self.model, given = other, self.model
        done = self.batch("-n", 40, code=2)
        self.assertRegex(done.stderr, "run: model was 'llama .+' and is 'llama")
        self.model = given
        del first["run"]
        line = json.dumps(first, separators=(",", ":"), ensure_ascii=False)
        self.output.write_text(line + "\n")
        self.assertIn("does not say", self.batch("-n", 40, code=2).stderr)
        # What does not change an answer may differ.
        self.output.write_bytes(half)
        self.batch("-n", 40, "--parallel", 3, "-q")
        self.assertEqual(self.output.read_bytes(), self.whole)

    def test_changed_files_of_the_model_do_not_go_on(self):
        """GEN-69: its skua.toml and its chat template count."""
        folder = self.folder / "model"
        shutil.copytree(support.asset("lm/stories260K/hf"), folder)
        self.model = folder
        template = folder / "chat_template.jinja"
        template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
        self.write(self.rows[:2])
        self.batch("-n", 4)
        whole = self.output.read_bytes()
        half = whole.splitlines(keepends=True)[0]
        profile = folder / "skua.toml"
        for file, text, message in (
            (profile, '[decode]\nkv_type = "int8"\n',
             "decode.kv_type was 'bf16' and is 'int8'"),
            (profile, '[prefill]\ndtype = "exact"\n',
             "prefill.dtype was 'default' and is 'exact'"),
            (template, "{{ messages[0].content }}!", "chat_template was '"),
        ):
            before = file.read_text() if file.exists() else ""
            self.output.write_bytes(half)
            file.write_text(text)
            with self.subTest(message):
                done = self.batch("-n", 4, code=2)
                self.assertIn(message, done.stderr)
                self.assertEqual(self.output.read_bytes(), half)
            file.write_text(before)
        self.batch("-n", 4)
        self.assertEqual(self.output.read_bytes(), whole)

    def test_overwrite_starts_anew(self):
        for before in (b"something else\n", self.whole * 2):
            self.output.write_bytes(before)
            self.batch("-n", 40, "--overwrite")
            self.assertEqual(self.output.read_bytes(), self.whole)

    def test_file_that_does_not_belong_is_refused_and_stays(self):
        whole = self.whole.splitlines(keepends=True)
        other = json.loads(whole[1])
        other["id"] = "other"
        more = json.dumps({"index": self.N, "id": None, "text": ""},
                          separators=(",", ":")).encode()
        for content, text in (
            (b"notes\n", "line 1 is no result of row 0"),
            (b"notes", "line 1 is no result of row 0"),
            (b"{}\n", "line 1 is no result of row 0"),
            (whole[1], "line 1 is no result of row 0"),
            (whole[0] + whole[2], "line 2 is no result of row 1"),
            (whole[0] + b"\n", "line 2 is no result of row 1"),
            (whole[0] + whole[1][:-9] + b"\n", "not valid JSON"),
            (whole[0] + json.dumps(other, separators=(",", ":")).encode()
             + b"\n", "line 2 has another id"),
            (self.whole + more + b"\n", "belongs to no line"),
            (self.input.read_bytes(), "line 1 is no result of row 0"),
        ):
            self.output.write_bytes(content)
            with self.subTest(content[:40]):
                done = self.batch("-n", 40, code=2)
                self.assertIn(text, done.stderr)
                self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
                self.assertEqual(self.output.read_bytes(), content)

    def test_bad_command_line_leaves_the_output_alone(self):
        self.output.write_bytes(self.whole)
        before = self.input.read_bytes()
        missing = self.folder / "none"
        for arguments, code, text in (
            (("--top-p", 2), 2, "top_p: got 2"),
            (("--parallel", 0), 2, "--parallel"),
            (("--parallel", 2000), 2, "--parallel"),
            (("-m", missing, "--overwrite"), 2, "none"),
            (("--raw", "--system", "a"), 2, "--system"),
        ):
            done = support.skua("batch", self.input, self.output, *arguments)
            with self.subTest(arguments):
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertEqual(self.output.read_bytes(), self.whole)
        for given, taken, text in (
            (missing, self.output, "no file"),
            (self.folder, self.output, "cannot be read"),
            (self.input, self.input, "file that is read"),
            (self.input, "-", "expected a file"),
            (self.input, missing / "out", "cannot be opened"),
        ):
            done = support.skua(
                *("batch", given, taken, "--overwrite", "-m", self.model)
            )
            with self.subTest(text):
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(text, done.stderr)
        self.assertEqual(self.input.read_bytes(), before)
        self.assertEqual(self.output.read_bytes(), self.whole)

    def test_two_processes_do_not_write_one_file(self):
        process = subprocess.Popen(
            [support.PROGRAM, "batch", "-", self.output, "-q", "-m",
             self.model],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.kill)
        process.stdin.write(b'"x"\n')
        process.stdin.flush()
        wait_for_lines(self.output, 1)
        done = self.batch(code=2)
        self.assertIn("another process", done.stderr)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 1)

    def test_output_that_takes_nothing_is_an_error(self):
        done = support.skua(
            *("batch", self.input, "/dev/full", "-q", "-m", self.model)
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)


if __name__ == "__main__":
    unittest.main()
