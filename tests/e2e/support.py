"""What the end-to-end tests share: paths, and models or a reason to skip."""
import os
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SKUA_BUILD", ROOT / "build/release"))
PROGRAM = BUILD / "bin/skua"
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
