"""What the end-to-end tests share: paths, and models or a reason to skip."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SKUA_BUILD", ROOT / "build/release"))
PROGRAM = os.environ.get("SKUA_BIN", BUILD / "bin/skua")
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA3 = "gemma-3-270m-q4_k_m.gguf"


def model(file):
    """Path of a model in Skua's cache; skips the test where it is absent."""
    home = os.environ.get("SKUA_HOME")
    if not home:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        home = pathlib.Path(cache).expanduser() / "skua"
    path = pathlib.Path(home) / "models" / file
    if not path.is_file():
        raise unittest.SkipTest(f"{file} is not in the model cache")
    return path


def asset(relative):
    """Path of a test asset; skips the test where it is absent."""
    root = os.environ.get("SKUA_ASSETS", ROOT / "../shared/assets")
    path = pathlib.Path(root) / relative
    if not path.exists():
        raise unittest.SkipTest(f"no test asset {relative}")
    return path


def skua(*arguments, stdin="", environment=None, **options):
    """Runs the program to its end; text is UTF-8, other bytes escaped."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=stdin,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        **options,
    )


class ToolTest(unittest.TestCase):
    """Runs commands that print, in a folder of its own."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-tools-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def out(self, *arguments, **options):
        done = skua(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.out(*arguments, **options))

    def refused(self, code, text, *arguments, **options):
        done = skua(*arguments, **options)
        with self.subTest(arguments):
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
            self.assertIn(text, done.stderr)
        return done

    def write(self, name, value):
        path = self.folder / name
        path.write_text(
            value if isinstance(value, str) else json.dumps(value),
            encoding="utf-8",
        )
        return path
