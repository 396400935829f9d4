"""Session files of the library, read and written by mlx-lm."""
import functools
import importlib
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest

import support

PROGRAM = support.BUILD / "bin/test_generate"
ARRAYS = ("keys", "values")


@functools.cache
def mlx_lm_cache():
    """mlx-lm's module of caches, without the rest of the package."""
    found = importlib.util.find_spec("mlx_lm")
    if found is None or importlib.util.find_spec("mlx") is None:
        raise unittest.SkipTest("no package mlx-lm")
    package = types.ModuleType("mlx_lm")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["mlx_lm"] = package
    return importlib.import_module("mlx_lm.models.cache")


class PromptCacheTest(unittest.TestCase):
    def setUp(self):
        support.asset("goldens/lm/llama")
        self.cache = mlx_lm_cache()
        old = hasattr(self.cache.KVCache(), "meta_state")
        self.layout = "meta" if old else "scalars"
        temporary = tempfile.TemporaryDirectory(prefix="skua-prompt-cache-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_library(self, test="SessionFile.GoesThroughMlxLmAndBack"):
        done = subprocess.run(
            [PROGRAM, f"--gtest_filter={test}"],
            env={**os.environ, "SKUA_PROMPT_CACHES": str(self.folder)},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("[  PASSED  ] 1 test", done.stdout)

    # GEN-77
    def test_files_of_the_library_go_through_mlx_lm_and_back(self):
        self.run_library()
        files = sorted(self.folder.glob(f"*-{self.layout}.safetensors"))
        self.assertEqual(len(files), 4)
        for path in files:
            cache, metadata = self.cache.load_prompt_cache(
                str(path), return_metadata=True
            )
            with self.subTest(path.name):
                self.check(cache, path.name)
                self.assertTrue(metadata["skua_model"].startswith("llama "))
                self.assertEqual(len(metadata["skua_tokens"].split()), 47)
                self.assertTrue(metadata["model"].endswith("llama"))
            back = f"{str(path).removesuffix('.safetensors')}.back.safetensors"
            self.cache.save_prompt_cache(back, cache, metadata)
        self.run_library()
        read = (self.folder / "read").read_text().splitlines()
        self.assertEqual(len(read), 4)

    def check(self, cache, name):
        mx = importlib.import_module("mlx.core")
        self.assertEqual(len(cache), 3)
        ring = name.startswith("20-")
        kind = self.cache.RotatingKVCache if ring else self.cache.KVCache
        dtype = mx.float32 if "f32" in name else mx.bfloat16
        for layer in cache:
            self.assertIs(type(layer), kind)
            self.assertEqual(layer.offset, 47)
            self.assertEqual(layer.keys.shape[:3], (1, 2, 20 if ring else 47))
            self.assertEqual(layer.keys.dtype, dtype)
            if ring:
                self.assertEqual((layer.keep, layer.max_size), (4, 20))

    # GEN-75, GEN-77
    def test_states_go_through_mlx_lm_and_back(self):
        support.asset("goldens/lm/qwen3_next")
        test = "SessionFile.StatesGoThroughMlxLmAndBack"
        self.run_library(test)
        # As mlx-lm's models make them; None has keys and values.
        conv = [(1, 2, 48)]
        mamba = [(1, 3, 128), (1, 8, 8, 16)]
        delta = [(1, 3, 64), (1, 4, 8, 8)]
        expected = {
            "lfm2": [conv, None, conv, None],
            "mamba2": [mamba] * 3,
            "qwen3_next": [delta, None, delta, None],
        }
        for name, states in expected.items():
            path = str(self.folder / f"{name}-{self.layout}.safetensors")
            cache, metadata = self.cache.load_prompt_cache(
                path, return_metadata=True
            )
            self.assertEqual(len(cache), len(states))
            for layer, state in zip(cache, states):
                if state is None:
                    self.assertIs(type(layer), self.cache.KVCache)
                    continue
                self.assertIs(type(layer), self.cache.ArraysCache)
                self.assertEqual([x.shape for x in layer.cache], state)
                self.assertIsNone(layer.left_padding)
                self.assertIsNone(layer.lengths)
            back = f"{path.removesuffix('.safetensors')}.back.safetensors"
            self.cache.save_prompt_cache(back, cache, metadata)
        self.run_library(test)
        read = (self.folder / "read").read_text().splitlines()
        self.assertEqual(len(read), 3)

    # GEN-71, GEN-77: mlx-lm's own cache after the same rows holds the same.
    def test_rings_hold_what_mlx_lm_holds_after_the_same_rows(self):
        mx = importlib.import_module("mlx.core")
        self.run_library()
        load = self.cache.load_prompt_cache
        whole = load(str(self.folder / f"0-f32-{self.layout}.safetensors"))
        ring = load(str(self.folder / f"20-f32-{self.layout}.safetensors"))
        own = self.cache.RotatingKVCache(max_size=20, keep=4)
        # The first layer's rows do not depend on what is seen.
        for i in range(47):
            row = [getattr(whole[0], a)[:, :, i : i + 1] for a in ARRAYS]
            own.update_and_fetch(*row)
        for array in ARRAYS:
            ours = getattr(ring[0], array)
            theirs = own._temporal_order(getattr(own, array))
            self.assertTrue(mx.array_equal(ours, theirs))


if __name__ == "__main__":
    unittest.main()
