#!/usr/bin/env python3
"""`skua pull` and `skua list` against a hub that this test serves."""
import json
import os
import pathlib
import pty
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fake_hub import COMMIT, Hub

try:
    import huggingface_hub
except ImportError:
    huggingface_hub = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKUA = os.environ.get("SKUA_BIN", str(ROOT / "build/release/bin/skua"))
WEIGHTS = random.Random(1).randbytes(3_000_000)
CHECKPOINT = {
    "README.md": b"# a model\n",
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"",
    "pytorch_model.bin": b"pickled",
    "onnx/config.json": b"{}",
    "model.safetensors": WEIGHTS,
}
TAKEN = ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"]


class PullTest(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="skua-pull-"))
        self.addCleanup(shutil.rmtree, self.home, True)
        self.hub = Hub(CHECKPOINT, lfs=["model.safetensors"])
        self.addCleanup(self.hub.close)

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items()
                if not k.startswith(("HF_", "SKUA_", "HUGGING"))
                and not k.lower().endswith("_proxy")}
        return {**kept, "HF_HOME": str(self.home / "hf"), "HF_ENDPOINT": self.hub.url,
                "SKUA_HOME": str(self.home / "skua"), "HOME": str(self.home), **more}

    def start(self, *arguments, environment=None, **options):
        process = subprocess.Popen(
            [SKUA, *arguments], env=self.environment(**(environment or {})), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def finish(self, process):
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def skua(self, *arguments, **options):
        return self.finish(self.start(*arguments, **options))

    def pull(self, name="org/name", **options):
        return self.skua("pull", name, **options)

    def assert_pulled(self, result, file=None):
        code, out, err = result
        self.assertEqual(code, 0, err)
        self.assertEqual(out, f"{self.snapshot / file if file else self.snapshot}\n")

    def assert_fails(self, result, code, *texts):
        self.assertEqual(result[0], code, result)
        self.assertEqual(result[1], "")
        last = result[2].splitlines()[-1]
        self.assertRegex(last, r"^skua: \[.+\] ")
        self.assertEqual(sum(line.startswith("skua: ") for line in result[2].splitlines()), 1)
        for text in texts:
            self.assertIn(text, last)

    @property
    def repository(self):
        return self.home / "hf/hub/models--org--name"

    @property
    def snapshot(self):
        return self.repository / "snapshots" / COMMIT

    def blob(self, name):
        return self.repository / "blobs" / self.hub.digest(name)

    def part(self, name="model.safetensors"):
        return self.blob(name).with_name(self.blob(name).name + ".incomplete")

    def files(self):
        return sorted(str(p.relative_to(self.home)) for p in self.home.rglob("*")
                      if not p.is_dir() and ".locks" not in p.parts)

    def assert_no_weights(self):
        self.assertFalse(self.blob("model.safetensors").exists())
        self.assertFalse((self.snapshot / "model.safetensors").is_symlink())
        self.assertFalse((self.repository / "refs/main").exists())


class Layout(PullTest):
    def test_pull_leaves_blobs_refs_and_relative_links_and_nothing_else(self):
        self.assert_pulled(self.pull())
        base = "hf/hub/models--org--name/"
        self.assertEqual(self.files(), sorted(
            [base + "refs/main"]
            + [base + "blobs/" + self.hub.digest(name) for name in TAKEN]
            + [base + f"snapshots/{COMMIT}/{name}" for name in TAKEN]))
        self.assertEqual((self.repository / "refs/main").read_bytes(), COMMIT.encode())
        for name in TAKEN:
            link = self.snapshot / name
            self.assertEqual(os.readlink(link), "../../blobs/" + self.hub.digest(name))
            self.assertEqual(link.read_bytes(), CHECKPOINT[name])

    def test_second_pull_downloads_nothing(self):
        self.assert_pulled(self.pull())
        del self.hub.requests[:]
        self.assert_pulled(self.pull())
        self.assertEqual([path for _, path, _, _ in self.hub.requests],
                         ["/api/models/org/name/revision/main"])

    def test_new_commit_downloads_only_what_changed(self):
        self.assert_pulled(self.pull())
        del self.hub.requests[:]
        self.hub.commit = "d" * 40
        self.hub.files["config.json"] = b"{}\n"
        self.assertEqual(self.pull()[0], 0)
        self.assertEqual(len(self.hub.downloads("config.json")), 1)
        self.assertEqual(len(self.hub.downloads("model.safetensors")), 0)
        self.assertEqual((self.repository / "refs/main").read_text(), "d" * 40)
        self.assertTrue((self.snapshot / "config.json").exists())

    def test_shards_are_those_the_index_names(self):
        index = {"weight_map": {"a": "s-1.safetensors", "b": "s-2.safetensors"}}
        shards = {"s-1.safetensors": b"1", "s-2.safetensors": b"22", "s-3.safetensors": b"3"}
        self.hub.files.update(shards)
        self.hub.lfs.update(shards)
        self.hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
        self.assert_pulled(self.pull())
        self.assertEqual(sorted(p.name for p in self.snapshot.glob("*.safetensors")),
                         ["s-1.safetensors", "s-2.safetensors"])

    def test_gguf_is_chosen_by_quantisation_and_ambiguity_lists_the_files(self):
        self.hub.files = {"m-Q4_K_M.gguf": b"4", "m-Q8_0.gguf": b"88", "config.json": b"{}"}
        self.hub.lfs = {"m-Q4_K_M.gguf", "m-Q8_0.gguf"}
        self.assert_fails(self.pull(), 2, "m-Q4_K_M.gguf, m-Q8_0.gguf")
        self.assert_fails(self.pull("org/name:Q2_K"), 2, "Q2_K", "m-Q8_0.gguf")
        self.assert_pulled(self.pull("org/name:q8_0"), "m-Q8_0.gguf")
        self.assertEqual(len(self.hub.downloads("m-Q4_K_M.gguf")), 0)
        self.assert_pulled(self.pull("org/name:m-Q4_K_M.gguf"), "m-Q4_K_M.gguf")

    def test_pickled_weights_alone_are_unsupported(self):
        del self.hub.files["model.safetensors"]
        self.assert_fails(self.pull(), 3, ".safetensors")

    @unittest.skipUnless(huggingface_hub, "huggingface_hub is not installed")
    def test_cache_equals_that_of_huggingface_hub(self):
        self.assert_pulled(self.pull())
        script = (
            "import json, sys, huggingface_hub as h\n"
            "for name in %r: h.hf_hub_download('org/name', name)\n"
            "print(h.snapshot_download('org/name', local_files_only=True))\n"
            "r = next(iter(h.scan_cache_dir().repos))\n"
            "print(r.repo_id, [x.commit_hash for x in r.revisions], r.refs.keys(), r.nb_files)\n")

        def oracle(home, names):
            return subprocess.run(
                [sys.executable, "-c", script % names], check=True, text=True,
                capture_output=True, env=self.environment(
                    HF_HOME=str(home), HF_HUB_DISABLE_XET="1",
                    HF_HUB_DISABLE_PROGRESS_BARS="1")).stdout

        def tree(home):
            root = home / "hub/models--org--name"
            return {str(p.relative_to(root)): os.readlink(p) if p.is_symlink() else p.read_bytes()
                    for kind in ("blobs", "refs", "snapshots")
                    for p in (root / kind).rglob("*") if p.is_symlink() or p.is_file()}

        other = self.home / "other"
        read = oracle(other, TAKEN)
        self.assertEqual(tree(self.home / "hf"), tree(other))
        self.assertEqual(oracle(self.home / "hf", []), read.replace(str(other), str(self.home / "hf")))
        del self.hub.requests[:]
        self.assert_pulled(self.pull(environment={"HF_HUB_OFFLINE": "1"}))
        result = self.pull(environment={"HF_HOME": str(other)})
        self.assertEqual(result[0], 0)
        self.assertEqual(len(self.hub.requests), 1)


class Faults(PullTest):
    def test_cut_connections_are_resumed_where_they_broke(self):
        self.hub.cuts["model.safetensors"] = [1_200_000, 700_000]
        self.assert_pulled(self.pull())
        ranges = [h.get("Range") for h in self.hub.downloads("model.safetensors")]
        self.assertEqual(ranges, [None, "bytes=1200000-", "bytes=1900000-"])
        self.assertEqual((self.snapshot / "model.safetensors").read_bytes(), WEIGHTS)

    def test_tries_are_bounded_and_the_part_is_kept_for_the_next_pull(self):
        self.hub.cuts["model.safetensors"] = [500_000] + [0] * 20
        self.assert_fails(self.pull(), 1, "connection")
        self.assertEqual(len(self.hub.downloads("model.safetensors")), 5)
        self.assert_no_weights()
        self.assertEqual(self.part().read_bytes(), WEIGHTS[:500_000])
        self.hub.cuts.clear()
        self.assert_pulled(self.pull())
        self.assertEqual(self.hub.downloads("model.safetensors")[-1]["Range"], "bytes=500000-")
        self.assertFalse(self.part().exists())

    def test_server_without_ranges_starts_the_file_again(self):
        self.hub.cuts["model.safetensors"] = [1_000_000]
        self.hub.rangeless.add("model.safetensors")
        self.assert_pulled(self.pull())
        self.assertEqual((self.snapshot / "model.safetensors").read_bytes(), WEIGHTS)

    def test_wrong_range_is_refused(self):
        self.hub.cuts["model.safetensors"] = [1_000_000]
        self.hub.ranges["model.safetensors"] = "bytes 0-1999999/3000000"
        self.assert_fails(self.pull(), 1, "range")
        self.assert_no_weights()

    def test_wrong_sha256_is_refused_and_removed(self):
        self.hub.sent["model.safetensors"] = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
        self.assert_fails(self.pull(), 1, "model.safetensors", "hash")
        self.assert_no_weights()
        self.assertFalse(self.part().exists())
        self.hub.sent.clear()
        self.assert_pulled(self.pull())

    def test_wrong_git_hash_is_refused_and_removed(self):
        self.hub.sent["config.json"] = CHECKPOINT["config.json"].replace(b"llama", b"lllma")
        self.assert_fails(self.pull(), 1, "config.json", "hash")
        self.assertFalse(self.part("config.json").exists())
        self.assert_no_weights()

    def test_damaged_part_of_another_program_is_replaced(self):
        self.part().parent.mkdir(parents=True)
        self.part().write_bytes(bytes(1_000_000))
        self.assert_pulled(self.pull())
        self.assertEqual((self.snapshot / "model.safetensors").read_bytes(), WEIGHTS)

    def test_more_bytes_than_stated_are_refused(self):
        self.hub.sizes["model.safetensors"] = 1000
        self.assert_fails(self.pull(), 1, "too much")
        self.assert_no_weights()

    def test_status_500_is_tried_again(self):
        self.hub.statuses["/api/models/org/name/revision/main"] = [500]
        self.hub.statuses[f"/org/name/resolve/{COMMIT}/model.safetensors"] = [503]
        self.assert_pulled(self.pull())

    def test_redirect_loops_and_other_schemes_are_refused(self):
        target = f"{self.hub.url}/org/name/resolve/{COMMIT}/model.safetensors"
        self.hub.locations["model.safetensors"] = target
        self.assert_fails(self.pull(), 1, "redirects")
        self.hub.locations["model.safetensors"] = "file:///etc/passwd"
        self.assert_fails(self.pull(), 1, "redirect")
        self.assert_no_weights()

    def test_no_network_is_one_line_with_the_remedy(self):
        result = self.pull(environment={"HF_ENDPOINT": "http://127.0.0.1:1"})
        self.assert_fails(result, 1, "network", "HF_ENDPOINT")


class Access(PullTest):
    def test_missing_model_and_file_are_not_found(self):
        self.assert_fails(self.pull("org/other"), 2, "org/other", "404")
        self.assert_fails(self.pull("org/name:absent.gguf"), 2, "absent.gguf")
        self.assert_fails(self.pull("org"), 2, "org/name")
        self.assertEqual(self.files(), [])

    def test_gated_model_without_token_names_the_remedy(self):
        self.hub.secret = "hf_secret"
        self.assert_fails(self.pull(), 1, "HF_TOKEN", self.hub.url + "/org/name")
        self.hub.denial = "RepoNotFound"
        self.assert_fails(self.pull(), 2, "HF_TOKEN")
        self.hub.denial = "Other"
        self.assert_fails(self.pull(environment={"HF_TOKEN": "wrong"}), 1, "HF_TOKEN")

    def test_token_goes_to_the_hub_and_to_no_other_host(self):
        self.hub.secret = "hf_secret"
        self.assert_pulled(self.pull(environment={"HF_TOKEN": "hf_secret"}))
        for method, path, headers, store in self.hub.requests:
            expected = None if store else "Bearer hf_secret"
            self.assertEqual(headers.get("Authorization"), expected, (method, path))
        self.assertTrue(any(store for *_, store in self.hub.requests))

    def test_token_file_is_used(self):
        self.hub.secret = "hf_secret"
        (self.home / "hf").mkdir()
        (self.home / "hf/token").write_text("hf_secret\n")
        self.assert_pulled(self.pull())

    def test_offline_uses_the_cache_alone(self):
        offline = {"HF_HUB_OFFLINE": "1"}
        self.assert_fails(self.pull(environment=offline), 2, "HF_HUB_OFFLINE")
        self.assert_pulled(self.pull())
        del self.hub.requests[:]
        self.assert_pulled(self.pull(environment=offline))
        self.assertEqual(self.hub.requests, [])


class Hostile(PullTest):
    def assert_untouched(self):
        outside = [f for f in self.files() if not f.startswith("hf/hub/models--org--name/")]
        self.assertEqual(outside, [])

    def test_file_names_that_leave_the_cache_are_refused(self):
        for name in ("/x.json", "a\n.json", "\x1b[2J.json", "\\..\\x.json"):
            self.hub.extra_names = [name]
            self.assert_fails(self.pull(), 1, "points outside the cache")
            self.assert_untouched()

    def test_unsafe_names_that_are_not_needed_are_left_alone(self):
        self.hub.extra_names = ["../x.json", "../../../x.safetensors", "1_a/../../x.json",
                                "../x.gguf"]
        self.assert_pulled(self.pull())
        self.assert_untouched()
        self.assertEqual(sorted(p.name for p in self.snapshot.iterdir()), sorted(TAKEN))
        self.assert_fails(self.pull("org/name:x"), 2, "no .gguf file")

    def test_index_cannot_name_a_file_outside(self):
        index = {"weight_map": {"a": "../../../x.safetensors"}}
        self.hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
        self.assert_fails(self.pull(), 2, "index.json")
        self.assert_untouched()

    def test_etag_and_commit_cannot_name_a_path(self):
        self.hub.etags["model.safetensors"] = "../../../../x"
        self.assert_fails(self.pull(), 1, "hash")
        self.hub.commit = "../../../x"
        self.assert_fails(self.pull(), 1, "commit")
        self.assert_untouched()

    def test_answers_that_are_no_hubs_are_refused(self):
        path = "/api/models/org/name/revision/main"
        for body in (b"", b"<html>", b"[]", b"{}", b'{"sha": 1, "siblings": []}',
                     b"[" * 100000):
            self.hub.statuses[path] = [200]
            self.hub.error_bodies[200] = ({}, body)
            code, _, err = self.pull()
            self.assertIn(code, (1, 2), body[:20])
            self.assertEqual(len(err.splitlines()), 1)


class Disk(PullTest):
    def test_too_little_room_is_seen_before_the_download(self):
        self.hub.sizes["model.safetensors"] = 1 << 52
        self.assert_fails(self.pull(), 1, str(1 << 52), "free")
        self.assertEqual(len(self.hub.downloads("model.safetensors")), 0)

    def test_file_size_limit_keeps_the_part_and_resumes(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        self.assert_fails(self.pull(preexec_fn=limit), 1, str(len(WEIGHTS) - (1 << 20)), "free")
        self.assertEqual(self.part().stat().st_size, 1 << 20)
        self.assert_no_weights()
        self.assert_pulled(self.pull())
        self.assertEqual(self.hub.downloads("model.safetensors")[-1]["Range"], "bytes=1048576-")

    def test_disk_that_fills_up_keeps_the_part_and_resumes(self):
        disk = self.home / "hf"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True).returncode:
            self.skipTest("this user may not mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        self.hub.pauses.add("model.safetensors")
        process = self.start("pull", "org/name")
        self.assertTrue(self.hub.paused.wait(20))
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(65536)):
                    pass
            except OSError:
                pass
        self.hub.pauses.clear()
        self.hub.resume.set()
        self.assert_fails(self.finish(process), 1, "No space left on device", "free")
        self.assert_no_weights()
        kept = self.part().stat().st_size
        self.assertGreater(kept, 0)
        os.remove(disk / "filler")
        self.assert_pulled(self.pull())
        self.assertEqual(self.hub.downloads("model.safetensors")[-1]["Range"], f"bytes={kept}-")

    def test_unwritable_cache_names_the_folder_and_the_remedy(self):
        (self.home / "hf").write_text("a file where a folder should be")
        self.assert_fails(self.pull(), 1, str(self.home / "hf"), "HF_HOME")


class Processes(PullTest):
    def test_ctrl_c_exits_130_and_the_next_pull_resumes(self):
        self.hub.pauses.add("model.safetensors")
        process = self.start("pull", "org/name")
        self.assertTrue(self.hub.paused.wait(20))
        process.send_signal(signal.SIGINT)
        self.assert_fails(self.finish(process), 130)
        self.assert_no_weights()
        kept = self.part().stat().st_size
        self.assertGreater(kept, 0)
        self.hub.pauses.clear()
        self.assert_pulled(self.pull())
        self.assertEqual(self.hub.downloads("model.safetensors")[-1]["Range"], f"bytes={kept}-")

    def test_killed_pull_leaves_nothing_half_written_and_no_lock(self):
        self.hub.pauses.add("model.safetensors")
        process = self.start("pull", "org/name")
        self.assertTrue(self.hub.paused.wait(20))
        process.kill()
        process.communicate()
        self.assert_no_weights()
        self.hub.pauses.clear()
        self.assert_pulled(self.pull())

    def test_two_processes_download_once(self):
        self.hub.pauses.add("model.safetensors")
        first = self.start("pull", "org/name")
        self.assertTrue(self.hub.paused.wait(20))
        second = self.start("pull", "org/name")
        heads = f"/org/name/resolve/{COMMIT}/model.safetensors"
        while sum(p == heads and m == "HEAD" for m, p, *_ in list(self.hub.requests)) < 2:
            self.assertIsNone(second.poll())
            time.sleep(0.01)
        self.hub.resume.set()
        for process in (first, second):
            self.assert_pulled(self.finish(process))
        self.assertEqual(len(self.hub.downloads("model.safetensors")), 1)


class Output(PullTest):
    def test_without_a_terminal_progress_is_one_line_per_file(self):
        code, _, err = self.pull()
        self.assertEqual(code, 0)
        self.assertEqual(err.splitlines()[-1], "model.safetensors: 3.00 MB")
        self.assertRegex(err, r"^(\S+: \S+ \S+\n)+$")

    def test_quiet_pull_prints_nothing_but_the_path(self):
        self.assertEqual(self.skua("pull", "-q", "org/name"), (0, f"{self.snapshot}\n", ""))

    def terminal(self, **environment):
        master, slave = pty.openpty()
        process = subprocess.Popen([SKUA, "pull", "org/name"], stdout=subprocess.DEVNULL,
                                   stderr=slave, env=self.environment(TERM="xterm", **environment))
        os.close(slave)
        text = b""
        while select.select([master], [], [], 20)[0]:
            try:
                text += os.read(master, 65536)
            except OSError:
                break
        os.close(master)
        self.assertEqual(process.wait(20), 0)
        return text.decode()

    def test_terminal_shows_a_bar_with_per_cent_bytes_speed_and_time(self):
        text = self.terminal()
        self.assertRegex(text, r"model\.safetensors \[\x1b\[32m#+\x1b\[0m\]")
        self.assertRegex(text, r"100%  3\.00 MB / 3\.00 MB  \S+ \S+/s  \d+:\d\d taken")

    def test_no_color_is_honoured(self):
        text = self.terminal(NO_COLOR="1")
        self.assertRegex(text, r"model\.safetensors \[#+\]")
        self.assertNotIn("\x1b[32m", text)

    def test_json_tells_what_was_downloaded(self):
        code, out, _ = self.skua("pull", "--json", "org/name")
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out), {
            "model": "org/name", "path": str(self.snapshot), "revision": COMMIT,
            "files_downloaded": 4,
            "bytes_downloaded": sum(len(CHECKPOINT[name]) for name in TAKEN)})

    def test_list_shows_the_cache_and_skuas_own_folder(self):
        self.assertIn("skua pull", self.skua("list")[1])
        self.assert_pulled(self.pull())
        own = self.home / "skua/models"
        own.mkdir(parents=True)
        (own / "tiny.gguf").write_bytes(bytes(1500))
        code, out, _ = self.skua("list", "--json")
        self.assertEqual(code, 0)
        models = {m["name"]: m for m in json.loads(out)["models"]}
        self.assertEqual(sorted(models), ["org/name", "tiny.gguf"])
        self.assertEqual(models["org/name"]["revision"], COMMIT)
        self.assertEqual(models["org/name"]["path"], str(self.snapshot))
        self.assertEqual(models["org/name"]["size_bytes"],
                         sum(len(CHECKPOINT[name]) for name in TAKEN))
        self.assertRegex(models["tiny.gguf"]["modified"], r"^\d{4}-\d\d-\d\dT[\d:]{8}Z$")
        table = self.skua("list")[1].splitlines()
        self.assertEqual(len(table), 3)
        self.assertTrue(re.match(r"org/name +3\.00 MB  c0ffee00  ", table[1]), table[1])

    def test_usage_errors_exit_2_and_help_and_version_0(self):
        self.assert_fails(self.skua(), 2)
        self.assert_fails(self.skua("pull"), 2, "model")
        self.assert_fails(self.skua("pull", "a/b", "--absent"), 2, "--absent")
        self.assertRegex(self.skua("--version")[1], r"^skua \d+\.\d+\.\d+\n$")
        code, out, _ = self.skua("pull", "--help")
        self.assertEqual(code, 0)
        self.assertIn("Examples:", out)

    def test_output_that_cannot_be_written_is_a_failure(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full on this system")
        with open("/dev/full", "w") as full:
            result = subprocess.run([SKUA, "list"], stdout=full, env=self.environment(),
                                    stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^skua: \[.*\] ")


if __name__ == "__main__":
    unittest.main()
