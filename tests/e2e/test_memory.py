"""What a run takes: memory beyond the file, and nothing else of the system."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import confined
import support

STORIES = "lm/stories260K/stories260K-v3-f32.gguf"


def peak_of(*arguments, stdin=""):
    """Most bytes that a run of the program holds, by the kernel's count."""
    with tempfile.TemporaryFile("w+") as text:
        text.write(stdin)
        text.seek(0)
        process = subprocess.Popen(
            [support.PROGRAM, *map(str, arguments)], stdin=text,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            peak = max(peak, int(found[1]) * 1024)
        try:
            process.wait(0.002)
        except subprocess.TimeoutExpired:
            pass
    error = process.stderr.read()
    process.stderr.close()
    if process.returncode != 0:
        raise AssertionError(error)
    return peak


class ResidentTest(unittest.TestCase):
    def setUp(self):
        if not os.path.exists("/proc/self/status"):
            self.skipTest("no /proc here")
        self.model = support.model(support.SMOLLM2)
        self.size = self.model.stat().st_size

    def run_peak(self, model, text, *more):
        return peak_of("run", "-m", model, "-q", "--raw", "-n", 1, *more, "-",
                       stdin=text)

    # COMP-28: for so small a model the program itself counts, some 20 MB, and
    # the 49152 strings of its vocabulary. They are taken off as measured: what
    # reading the vocabulary alone takes, and what a run of a model of 1 MB
    # takes beyond its file and vocabulary.
    def test_weights_take_little_more_than_their_file(self):
        small = support.asset(STORIES)
        words = peak_of("tokenize", "-m", self.model, "Once")
        program = (self.run_peak(small, "Once") - small.stat().st_size
                   - peak_of("tokenize", "-m", small, "Once"))
        loaded = self.run_peak(self.model, "Once") - words - program
        self.assertLess(words + program, 60e6)
        self.assertGreater(loaded, 0.8 * self.size)
        self.assertLess(loaded, 1.15 * self.size)

    # COMP-28: beside a cache of bounded size nothing grows. Both prompts are
    # read in steps of one size, which is what the workspace depends on.
    def test_4000_tokens_take_what_1000_take(self):
        sentence = "Once upon a time there was a cat. "  # of 9 tokens
        few, many = (
            self.run_peak(self.model, sentence * (n // 9),
                          *("--max-kv-size", 256, "--prefill-chunk", 256))
            for n in (1000, 4000))
        self.assertLess(many - few, 0.05 * self.size)


class ConfinedTest(unittest.TestCase):
    def setUp(self):
        confined.skip_where_it_cannot()
        folder = tempfile.TemporaryDirectory(prefix="skua-confined-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_confined(self, *command):
        return subprocess.run(
            [*map(str, command)], cwd=self.folder, preexec_fn=confined.confine,
            env={"PATH": "", "TMPDIR": self.folder, "HOME": self.folder},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120)

    def test_a_child_or_a_file_would_be_seen(self):
        for script in ("/bin/true & wait", "echo > file", "(exit 3)"):
            done = self.run_confined("/bin/sh", "-c", script)
            self.assertEqual(done.returncode, -signal.SIGSYS, script)
        done = self.run_confined("/bin/sh", "-c", "exit 3")
        self.assertEqual(done.returncode, 3)

    # COMP-11
    def test_an_answer_needs_no_other_program_and_makes_no_file(self):
        text = ("run", "-q", "--raw", "-n", 8, "Once", "-m")
        numbers = ("probe", "logits", "--tokens", "[1, 2, 3]", "-m")
        for arguments in ((*text, support.asset(STORIES)),
                          (*text, support.model(support.SMOLLM2)),
                          (*numbers, support.asset("goldens/lm/gemma3_text"))):
            with self.subTest(model=arguments[-1].name):
                plain = support.skua(*arguments)
                done = self.run_confined(support.PROGRAM, *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout, plain.stdout)
                self.assertTrue(done.stdout)
                self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
