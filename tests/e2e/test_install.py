"""The installed tree: complete, relocatable, and usable by a program that
knows nothing but find_package(skua)."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import support


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "LD_LIBRARY_PATH": ""},
        **options,
    )
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout}")
    return done.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="skua-install-")
        cls.addClassCleanup(cls.temporary.cleanup)
        folder = pathlib.Path(cls.temporary.name)
        run("cmake", "--install", support.BUILD, "--prefix", folder / "first")
        cls.tree = folder / "moved here"
        (folder / "first").rename(cls.tree)
        cls.client = folder / "client"
        chat = (cls.tree / "include/skua/skua.h").is_file()
        run(
            "cmake",
            *("-S", support.ROOT / "tests/e2e/client", "-B", cls.client),
            *("-G", "Ninja", f"-DCMAKE_PREFIX_PATH={cls.tree}"),
            f"-DSKUA_CLIENT_CHAT={chat}",
        )
        run("ninja", "-C", cls.client)

    def test_program_runs_from_the_moved_tree(self):
        run(self.tree / "bin/skua", "--help")

    def test_every_library_is_found_inside_the_moved_tree(self):
        for binary in ("bin/skua", "lib/libskua.so"):
            listing = run("ldd", self.tree / binary)
            self.assertNotIn("not found", listing)
            for line in listing.splitlines():
                if re.search(r"mlx|blas|lapack|gfortran", line):
                    self.assertIn(str(self.tree), line)

    def test_no_file_names_the_source_or_build_folder(self):
        for path in (self.tree / "lib/cmake").rglob("*.cmake"):
            self.assertNotIn(str(support.ROOT), path.read_text(), path)
        for binary in ("bin/skua", "lib/libskua.so"):
            dynamic = run("readelf", "-d", self.tree / binary)
            self.assertNotRegex(dynamic, r"R(UN)?PATH.*\[[^$]")

    def test_public_headers_compile_without_mlx(self):
        for path in (self.tree / "include").rglob("*.h"):
            self.assertNotRegex(path.read_text(), r"mlx/|mlx::|nlohmann", path)

    def test_library_exports_what_its_headers_declare_alone(self):
        table = run(
            *("nm", "-DC", "--defined-only"), self.tree / "lib/libskua.so"
        )
        strong = re.findall(r"^[0-9a-f]+ [TDBR] (.*)$", table, re.MULTILINE)
        headers = (self.tree / "include/skua").rglob("*.h")
        words = set(re.findall(r"\w+", "".join(p.read_text() for p in headers)))
        for name in strong:
            match = re.match(r"skua::(\w+)", name)
            self.assertTrue(match and match.group(1) in words, name)

    def test_client_catches_an_error_by_its_base(self):
        self.assertEqual(
            run(self.client / "errors"), "[client] a model, got none\n"
        )

    def test_client_generates_text(self):
        if not (self.client / "chat").exists():
            self.skipTest("the installed headers have no skua/skua.h")
        answer = run(
            *(self.client / "chat", support.model(support.SMOLLM2)),
            "What is the capital of France?",
        )
        self.assertIn("Paris", answer)


if __name__ == "__main__":
    unittest.main()
