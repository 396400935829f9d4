"""The commands that show and measure, completion and help."""
import json
import math
import pathlib
import re
import subprocess
import tempfile
import unittest

import support

COMMANDS = (
    *("run", "chat", "batch", "pull", "list", "show", "tokenize", "template"),
    *("probe", "perplexity", "score", "explain", "completion"),
)


class ToolTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-tools-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def out(self, *arguments, **options):
        done = support.skua(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.out(*arguments, **options))

    def refused(self, code, text, *arguments, **options):
        done = support.skua(*arguments, **options)
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


class ShowTest(ToolTest):
    def test_real_model(self):
        path = support.model(support.SMOLLM2)
        golden = json.loads(
            support.asset("goldens/real/smollm2_135m.json").read_text()
        )
        config = golden["config"]
        shown = self.json("show", path, "--json")
        for key, name in (
            ("architecture", "model_type"),
            ("layers", "num_hidden_layers"),
            ("vocabulary", "vocab_size"),
            ("context", "max_position_embeddings"),
        ):
            self.assertEqual(shown[key], config[name])
        self.assertEqual(shown["format"], "GGUF")
        self.assertEqual(shown["parameters"], 134_515_008)
        self.assertEqual(shown["end_ids"], [golden["eos_token_id"]])
        self.assertLess(shown["weight_bytes"], path.stat().st_size)
        by_type = shown["weight_bytes_by_type"]
        self.assertEqual(sum(by_type.values()), shown["weight_bytes"])
        self.assertIn("Q4_1", by_type)
        self.assertTrue(shown["chat_template"])
        self.assertIn("BPE", shown["tokenizer"])
        self.assertEqual(
            self.out("show", path, "--template").strip(),
            golden["chat_template"].strip(),
        )

    def test_text_says_the_same(self):
        text = self.out("show", support.model(support.SMOLLM2))
        rows = dict(line.split(maxsplit=1) for line in text.splitlines())
        self.assertEqual(rows["architecture"], "llama")
        self.assertEqual(rows["context"], "8192 tokens")
        self.assertIn("Q4_1", rows["weights"])
        self.assertIn("<|im_end|>", text)

    def test_quantised_folder_without_tokenizer(self):
        folder = support.asset("goldens/lm/llama_q4g64")
        shown = self.json("show", folder, "--json")
        self.assertEqual(shown["format"], "safetensors")
        self.assertIsNone(shown["tokenizer"])
        self.assertFalse(shown["chat_template"])
        self.refused(3, "chat template", "show", folder, "--template")


class CpuTest(ToolTest):
    def shown(self, **environment):
        return self.json("show", "--cpu", "--json", environment=environment)

    def test_highest_level_is_the_default(self):
        shown = self.shown(SKUA_CPU="", SKUA_THREADS="")
        self.assertEqual(shown["level"], shown["levels"][-1])
        self.assertEqual(shown["level_source"], "the CPU")
        self.assertIn(shown["threads_source"], ("affinity", "cgroup quota"))
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
        for level, flag in (("avx2", "avx2"), ("avx512", "avx512bw")):
            self.assertEqual(level in shown["levels"], flag in flags)
        for feature in shown["features"]:
            if not feature.startswith("arm_"):
                self.assertIn(feature.replace("avx512_vbmi", "avx512vbmi"), flags)

    def test_each_level_can_be_forced(self):
        for level in self.shown(SKUA_CPU="")["levels"]:
            shown = self.shown(SKUA_CPU=level, SKUA_THREADS="3")
            self.assertEqual(shown["level"], level)
            self.assertEqual(shown["level_source"], "SKUA_CPU")
            self.assertEqual(shown["threads"], 3)
            self.assertEqual(shown["threads_source"], "SKUA_THREADS")
            if level == "avx2":
                self.assertEqual(shown["highway_target"], "AVX2")

    def test_text_says_the_same(self):
        text = self.out("show", "--cpu", environment={"SKUA_CPU": "scalar"})
        rows = dict(re.split(r" {2,}|(?<=target) ", line, 1)
                    for line in text.splitlines())
        self.assertEqual(rows["level"].split()[:2], ["scalar", "(SKUA_CPU;"])
        self.assertIn(rows["highway target"], ("SCALAR", "EMU128"))
        self.assertEqual(rows["features"], "none beyond the level's")

    def test_what_is_no_level_or_count_is_refused(self):
        levels = ", ".join(self.shown(SKUA_CPU="")["levels"])
        folder = support.asset("goldens/lm/llama_q4g64")
        for command in (("show", "--cpu"), ("probe", "logits", "-m", folder, "--tokens", "[1]")):
            for level in ("avx3", "AVX2", "neon"):
                environment = {"SKUA_CPU": level}
                self.refused(2, levels, *command, environment=environment)
            environment = {"SKUA_THREADS": "0"}
            self.refused(2, "1 to 1024", *command, environment=environment)


class ListTest(ToolTest):
    def test_own_folder(self):
        models = self.folder / "models"
        models.mkdir()
        environment = {
            "SKUA_HOME": str(self.folder),
            "HF_HOME": str(self.folder / "hf"),
        }
        empty = self.out("list", environment=environment)
        self.assertIn("skua pull", empty)
        (models / "one.gguf").write_bytes(bytes(1500))
        listed = self.json("list", "--json", environment=environment)
        self.assertEqual(len(listed["models"]), 1)
        self.assertEqual(listed["models"][0]["name"], "one.gguf")
        self.assertEqual(listed["models"][0]["size_bytes"], 1500)
        table = self.out("list", environment=environment).splitlines()
        self.assertEqual(table[0].split()[:2], ["NAME", "SIZE"])
        self.assertEqual(table[1].split()[:3], ["one.gguf", "1.50", "kB"])


class TokenizeTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.model = support.model(support.SMOLLM2)
        path = support.asset("goldens/real/tokenizer_smollm2.json")
        self.cases = json.loads(path.read_text(encoding="utf-8"))["cases"]

    def test_ids_equal_the_reference_and_decode_to_the_text(self):
        for case in self.cases[7:120:16] + [self.cases[-1]]:
            with self.subTest(case["text"]):
                tokens = self.json(
                    *("tokenize", "-m", self.model, "--json", "-"),
                    stdin=case["text"],
                )
                self.assertEqual(tokens["ids"], case["ids"])
                self.assertEqual(len(tokens["pieces"]), len(case["ids"]))
                decoded = self.json(
                    *("tokenize", "-m", self.model, "--decode", "--json"),
                    json.dumps(case["ids"]),
                )
                self.assertEqual(decoded["text"], case["decoded"])

    def test_table_has_a_line_for_each_token(self):
        lines = self.out("tokenize", "-m", self.model, "Hello").splitlines()
        self.assertEqual(len(lines), 1)
        self.assertEqual(lines[0].split(), ["19556", '"Hello"'])

    def test_special_tokens_are_added_or_not(self):
        model = support.asset("lm/stories260K/hf")
        small = ("tokenize", "-m", model, "--json", "Once")
        ids = self.json(*small)["ids"]
        self.assertEqual(ids[0], 1)
        self.assertEqual(self.json(*small, "--no-special")["ids"], ids[1:])

    def test_bad_ids(self):
        for ids in ('[1,"a"]', "[1.5]", "[-1]", "[49152]", "3", "{", "[[1]]"):
            self.refused(
                *(2, "[ids]", "tokenize", "-m", self.model, "--decode", ids)
            )

    def test_text_that_is_not_utf8(self):
        self.refused(
            *(2, "UTF-8", "tokenize", "-m", self.model), stdin="a\udcff"
        )


class TemplateTest(ToolTest):
    def test_messages_render_to_the_reference_prompt(self):
        model = support.model(support.SMOLLM2)
        path = support.asset("goldens/real/smollm2_135m.json")
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        for case in cases[:5]:
            if "messages" in case:
                with self.subTest(case["id"]):
                    messages = self.write("messages.json", case["messages"])
                    command = ("template", "-m", model, "--messages", messages)
                    self.assertEqual(self.out(*command), case["text"])
                    self.assertEqual(
                        self.json(*command, "--json"), {"text": case["text"]}
                    )
        self.assertTrue(
            case["text"].startswith(
                self.out(*command, "--no-generation-prompt")
            )
        )

    def test_tools_reach_the_template(self):
        source = support.asset("goldens/lm/llama/config.json").parent
        folder = self.folder / "model"
        folder.mkdir()
        (folder / "config.json").write_bytes(
            (source / "config.json").read_bytes()
        )
        tokenizer = support.asset("lm/stories260K/hf/tokenizer.json")
        (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        (folder / "chat_template.jinja").write_text(
            "{% for t in tools or [] %}{{ t.function.name }};{% endfor %}"
            "{{ messages[0].content }}{{ colour }}"
        )
        tools = self.write(
            "tools.json",
            [{"type": "function", "function": {"name": "weather"}}],
        )
        messages = self.write("m.json", [{"role": "user", "content": "hi"}])
        colour = self.write("colour.json", {"colour": " red"})
        command = ("template", "-m", folder, "--messages", messages)
        self.assertEqual(self.out(*command), "hi")
        self.assertEqual(
            self.out(*command, "--tools", tools, "--context", colour),
            "weather;hi red",
        )

    def test_template_of_a_file_with_variables(self):
        template = self.write("t.jinja", "{{ name | upper }}: {{ n + 1 }}\n!")
        context = self.write("c.json", {"name": "où", "n": 41})
        self.assertEqual(
            self.json(
                *("template", "--template", template, "--context", context),
                "--json",
            ),
            {"text": "OÙ: 42\n!"},
        )

    def test_json_error(self):
        template = self.write("t.jinja", "one\n{{ raise_exception('no') }}")
        command = ("template", "--template", template)
        done = self.refused(2, "t.jinja:2:", *command, "--json")
        self.assertIn("t.jinja:2:", json.loads(done.stdout)["error"])
        self.assertEqual(self.refused(2, "no", *command).stdout, "")

    def test_bad_arguments(self):
        model = support.model(support.SMOLLM2)
        command = ("template", "-m", model)
        self.refused(2, "--messages", *command)
        missing = self.folder / "none.json"
        self.refused(2, "none.json", *command, "--messages", missing)
        for text in ("{", "{}", "[5]", '[{"content": "x"}]'):
            messages = self.write("bad.json", text)
            self.refused(2, "", *command, "--messages", messages)


class ProbeTest(ToolTest):
    def test_logits_and_greedy_ids_equal_the_reference(self):
        for name in ("llama", "qwen3", "gemma3_text", "llama_q4g64"):
            folder = support.asset("goldens/lm/" + name)
            expected = json.loads((folder / "expected.json").read_text())
            for chunk in (0, 5):
                with self.subTest(name, chunk=chunk):
                    self.check(folder, expected, chunk)

    def check(self, folder, expected, chunk):
        n = len(expected["greedy"])
        probe = self.json(
            *("probe", "logits", "--model", folder, "--at", "0,7"),
            *("--tokens", json.dumps(expected["prompt"])),
            *("--greedy", n, "--chunk", chunk),
        )
        self.assertEqual(
            list(probe), ["logits_last", "logits_at", "greedy", "greedy_top"]
        )
        delta = expected["tolerance"]
        self.near(probe["logits_last"], expected["logits_last"], delta)
        self.assertEqual(list(probe["logits_at"]), ["0", "7"])
        for at, logits in probe["logits_at"].items():
            self.near(logits, expected["logits_at"][at], delta)
        self.assertEqual(probe["greedy"], expected["greedy"])
        for mine, theirs in zip(
            probe["greedy_top"], expected["greedy_logits_top"], strict=True
        ):
            self.assertEqual(mine[0], theirs[0])
            self.near(mine[1::2], theirs[1::2], delta)

    # COMP-05
    def test_oracle(self):
        folder = support.asset("goldens/lm/gemma3_text")
        expected = json.loads((folder / "expected.json").read_text())
        probe = self.json(
            *("probe", "logits", "--model", folder, "--at", "0,7"),
            *("--tokens", json.dumps(expected["prompt"]), "--oracle"),
            *("--greedy", "3"),
        )
        delta = expected["tolerance"]
        self.near(probe["logits_last"], expected["logits_last"], delta)
        for at in ("0", "7"):
            self.near(
                probe["logits_at"][at], expected["logits_at"][at], delta
            )
        self.assertEqual(probe["greedy"], expected["greedy"][:3])
        self.refused(
            *(2, "--chunk", "probe", "logits", "-m", folder, "--oracle"),
            *("--tokens", "[1]", "--chunk", "2"),
        )

    def near(self, mine, theirs, delta):
        self.assertEqual(len(mine), len(theirs))
        worst = max(abs(a - b) for a, b in zip(mine, theirs))
        self.assertLessEqual(worst, delta)

    def test_without_greedy_and_positions(self):
        folder = support.asset("goldens/lm/llama")
        probe = self.json(
            "probe", "logits", "-m", folder, "--tokens", "[1]"
        )
        self.assertEqual(len(probe["logits_last"]), 101)
        self.assertEqual(probe["logits_at"], {})
        self.assertEqual(probe["greedy"], [])
        self.assertEqual(probe["greedy_top"], [])

    def test_bad_arguments(self):
        command = ("probe", "logits", "-m", support.asset("goldens/lm/llama"))
        for tokens in ('[1,"a"]', "[1.5]", "[-1]", "[99999999999]", "{", "3"):
            self.refused(2, "[--tokens]", *command, "--tokens", tokens)
        for tokens in ("[]", "[101]"):
            self.refused(2, "[tokens]", *command, "--tokens", tokens)
        for more in (
            *(("--at", "2"), ("--at", "-1"), ("--at", "x")),
            *(("--greedy", "-1"), ("--greedy", "x"), ("--chunk", "-1")),
        ):
            self.refused(2, "", *command, "--tokens", "[1,2]", *more)
        self.refused(2, "--tokens", *command)


class FilterTest(ToolTest):
    # GEN-11
    def test_all_reference_cases(self):
        golden = json.loads(
            support.asset("goldens/sampling/filters.json").read_text()
        )
        for case in golden["cases"]:
            with self.subTest(case["name"]):
                asked = {k: case[k] for k in ("logits", "history", "options")}
                self.check(asked, case["filtered"], golden["tolerance"])

    def check(self, asked, expected, delta):
        got = self.json("probe", "filter", stdin=json.dumps(asked))
        self.assertEqual(len(got), len(expected))
        for mine, theirs in zip(got, expected):
            self.assertEqual(mine is None, theirs is None)
            if mine is not None:
                # Seven digits are stored.
                self.assertLessEqual(
                    abs(mine - theirs), delta + 5e-7 * abs(theirs)
                )

    def test_reads_a_file(self):
        path = self.write("asked.json", {"logits": [0, None, 0, 0]})
        third = -1.0986123
        for arguments in ((path,), ("-",), ()):
            got = self.json(
                "probe", "filter", *arguments, stdin=path.read_text()
            )
            self.assertIsNone(got.pop(1))
            for value in got:
                self.assertAlmostEqual(value, third, places=6)

    # GEN-33
    def test_the_end_is_forbidden_before_min_tokens(self):
        asked = {"logits": [0, 0], "history": [1, 1, 1], "eos_ids": [0]}
        asked["options"] = {"min_tokens": 2}
        for n_generated, forbidden in ((0, True), (1, True), (2, False)):
            asked["n_generated"] = n_generated
            got = self.json("probe", "filter", stdin=json.dumps(asked))
            self.assertEqual(got[0] is None, forbidden)

    def test_bad_requests(self):
        for text, asked in (
            ("[request]", []),
            ('"logit"', {"logit": [1]}),
            ("[logits]", {}),
            ("[logits]", {"logits": []}),
            ("[logits]", {"logits": [1, "x"]}),
            ("[history] got 2", {"logits": [1, 2], "history": [2]}),
            ("[history] got -1", {"logits": [1, 2], "history": [-1]}),
            ("[eos_ids]", {"logits": [1, 2], "eos_ids": 1}),
            ("[n_generated]", {"logits": [1, 2], "n_generated": 1}),
            ("topp", {"logits": [1, 2], "options": {"topp": 1}}),
            ("suppress_ids: got 2", {
                "logits": [1, 2], "options": {"suppress_ids": [2]},
            }),
        ):
            self.refused(2, text, "probe", "filter", stdin=json.dumps(asked))
        self.refused(2, "[stdin]", "probe", "filter", stdin="{")
        # GEN-26
        asked = {"logits": [1, 2], "options": {"suppress_ids": [0, 1]}}
        self.refused(
            1, "suppress_ids", "probe", "filter", stdin=json.dumps(asked)
        )


class ScoreTest(ToolTest):
    # GEN-82
    def test_perplexity_of_a_text_equals_the_reference(self):
        model = support.model(support.SMOLLM2)
        golden = json.loads(
            support.asset("goldens/real/smollm2_135m.json").read_text()
        )["perplexity"]
        ids = golden["ids"][:33]
        text = self.json(
            *("tokenize", "-m", model, "--decode", "--json"), json.dumps(ids)
        )["text"]
        path = self.write("text.txt", text)
        shown = self.json("perplexity", path, "-m", model, "--json")
        want = math.exp(sum(golden["nll_first_32"]) / 32)
        self.assertAlmostEqual(shown["perplexity"] / want, 1, delta=1e-3)
        self.assertEqual(
            (shown["tokens"], shown["scored_tokens"], shown["windows"]),
            (33, 32, 1),
        )
        self.assertEqual((shown["context"], shown["stride"]), (2048, 1024))
        text = self.out("perplexity", "-", "-m", model, stdin=text)
        self.assertIn(f"{shown['perplexity']:.4f}", text)

    def test_windows(self):
        model = support.asset("lm/stories260K/hf")
        command = ("perplexity", "-", "-m", model, "--json")
        story = "Once upon a time, there was a little girl named Lily. " * 8
        whole = self.json(*command, stdin=story)
        self.assertEqual(whole["windows"], 1)
        self.assertEqual(whole["scored_tokens"], whole["tokens"] - 1)
        self.assertAlmostEqual(math.exp(whole["nll"]), whole["perplexity"])
        parts = self.json(
            *command, "--ctx", "32", "--stride", "32", stdin=story
        )
        n = parts["windows"]
        self.assertEqual(n, -(-whole["tokens"] // 32))
        self.assertEqual(parts["scored_tokens"], whole["tokens"] - n)
        self.assertGreater(parts["perplexity"], whole["perplexity"])
        for options in (
            *(("--ctx", "1"), ("--ctx", "-2"), ("--ctx", "513")),
            *(("--stride", "-1"), ("--ctx", "32", "--stride", "33")),
        ):
            self.refused(2, "expected", *command, *options, stdin=story)
        self.refused(2, "at least 2", *command, stdin="")
        self.refused(2, "UTF-8", *command, stdin="a\udcff")
        self.refused(2, "none.txt", "perplexity", "none.txt", "-m", model)

    def test_scores_of_continuations(self):
        model = support.asset("lm/stories260K/hf")
        command = ("score", "-m", model, "--context", "Once upon", "--json")
        shown = self.json(*command, "--continuation", " a time", " a dog")
        ids = self.json("tokenize", "-m", model, "--json", "Once upon")["ids"]
        self.assertEqual(shown["context_ids"], ids)
        time, dog = shown["continuations"]
        self.assertEqual((time["text"], dog["text"]), (" a time", " a dog"))
        self.assertTrue(time["is_greedy"])
        self.assertFalse(dog["is_greedy"])
        self.assertGreater(time["log_probability"], dog["log_probability"])
        for one in (time, dog):
            self.assertAlmostEqual(
                sum(one["token_log_probabilities"]), one["log_probability"]
            )
            self.assertEqual(
                len(one["token_log_probabilities"]), len(one["ids"])
            )
        # The same tokens by their logits.
        probe = self.json(
            *("probe", "logits", "-m", model, "--tokens", json.dumps(ids))
        )["logits_last"]
        total = math.log(sum(map(math.exp, probe)))
        self.assertAlmostEqual(
            dog["token_log_probabilities"][0],
            probe[dog["ids"][0]] - total,
            places=4,
        )
        text = self.out(*command[:-1], "--continuation", " a time")
        self.assertIn(f"{time['log_probability']:.4f}", text)
        self.refused(2, "continuation", *command, "--continuation", "")
        self.refused(2, "--continuation", *command)
        self.refused(2, "context", *command, "--continuation", " a" * 600)
        tiny = support.asset("goldens/lm/llama")
        self.refused(
            *(3, "tokenizer", "score", "-m", tiny),
            *("--context", "a", "--continuation", "b"),
        )


class ExplainTest(ToolTest):
    # COMP-15
    def test_json_has_every_field(self):
        folder = support.asset("goldens/lm/qwen3_q4g32")
        config = json.loads((folder / "config.json").read_text())
        e = self.json("explain", folder, "--ctx", "300", "--json")
        self.assertEqual(
            set(e),
            {
                *("path", "architecture", "format", "layers", "tensors"),
                *("matrices", "decode_nodes", "prefill_rows", "context"),
                *("cache", "bytes_per_token", "limit", "compiled", "profile"),
            },
        )
        self.assertEqual(e["architecture"], "qwen3")
        self.assertEqual(e["layers"], config["num_hidden_layers"])
        self.assertEqual(e["context"], 300)
        tensors = e["tensors"]
        self.assertEqual(
            set(tensors), {"used", "missing", "unused", "hidden"}
        )
        names = {t["name"]: t for t in tensors["used"]}
        up = names["model.layers.0.mlp.up_proj.weight"]
        self.assertEqual(up["type"], "uint32")
        self.assertEqual(up["shape"][0], config["intermediate_size"])
        self.assertEqual(tensors["missing"] + tensors["unused"], [])
        by_name = {m["name"]: m for m in e["matrices"]}
        up = by_name["model.layers.*.mlp.up_proj"]
        self.assertEqual(up["count"], config["num_hidden_layers"])
        self.assertEqual(up["format"], "affine, 4 bits in groups of 32")
        for phase in ("decode", "prefill"):
            self.assertTrue(up[phase])
        self.assertIn("append_and_attend", e["decode_nodes"]["ours"])
        self.assertGreater(e["prefill_rows"], 1)
        cache = e["cache"]
        self.assertEqual(
            sum(k["layers"] * k["bytes_per_layer"] for k in cache["kinds"]),
            cache["bytes"],
        )
        read = e["bytes_per_token"]
        self.assertEqual(read["weights"] + read["cache"], read["total"])
        limit = e["limit"]
        self.assertAlmostEqual(
            limit["tokens_per_s"] * read["total"],
            limit["read_gb_per_s"] * 1e9,
            delta=1e3,
        )
        self.assertGreater(limit["read_gb_per_s"], 0.1)
        self.assertEqual(e["compiled"]["functions"], [])
        self.assertIn("nothing", e["compiled"]["note"])

    def test_options(self):
        folder = support.asset("goldens/lm/qwen3_q4g32")

        def explained(*options):
            return self.json("explain", folder, "--json", *options)

        one = explained("--ctx", "256", "--kv-type", "f32")
        two = explained("--ctx", "512", "--kv-type", "f32", "--exact")
        self.assertEqual(2 * one["cache"]["bytes"], two["cache"]["bytes"])
        half = explained("--ctx", "256")
        self.assertEqual(one["cache"]["bytes"], 2 * half["cache"]["bytes"])
        for matrix in two["matrices"]:
            self.assertEqual(matrix["decode"], "float32 rows, decoded")
        for options in (("--ctx", "-1"), ("--ctx", "999999")):
            self.refused(2, "--ctx", "explain", folder, *options)

    def test_text_says_the_same(self):
        text = self.out("explain", support.model(support.SMOLLM2))
        for part in (
            *("0 missing", "model.layers.*.mlp.up_proj", "48"),
            *("30 append_and_attend", "for 2048 tokens", "tokens/s"),
        ):
            self.assertIn(part, text)


class CompletionTest(ToolTest):
    def complete(self, *words):
        script = self.write("skua.bash", self.out("completion", "bash"))
        quoted = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(
            ["bash", "-c", f"source {script}; COMP_WORDS=({quoted}); "
             f"COMP_CWORD={len(words) - 1}; _skua; echo ${{COMPREPLY[@]}}"],
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_script_is_valid_shell(self):
        for shell in ("bash", "zsh"):
            script = self.write(shell, self.out("completion", shell))
            done = subprocess.run(["bash", "-n", script], capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_commands_and_options(self):
        self.assertEqual(self.complete("skua", "ru"), ["run"])
        self.assertEqual(set(COMMANDS) - set(self.complete("skua", "")), set())
        for words, option in (
            (("run", "--max-t"), "--max-tokens"),
            (("template", "--to"), "--tools"),
            (("probe", "logits", "--to"), "--tokens"),
        ):
            self.assertEqual(self.complete("skua", *words), [option])

    def test_file_names(self):
        self.write("my.gguf", "")
        self.assertEqual(self.complete("skua", "show", "my"), ["my.gguf"])

    def test_unknown_shell(self):
        self.refused(2, "bash", "completion", "fish")


class HelpTest(ToolTest):
    def test_every_command_has_help_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command):
                text = self.out(command, "--help")
                self.assertRegex(text, rf"\nExamples?:\n(.*\n)*  .*skua {command}")

    def test_top_help_lists_commands_and_exit_codes(self):
        text = self.out("--help")
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", text)
        for code in ("0 done", "1 failed", "2 bad", "3 unsup", "130 inter"):
            self.assertIn(code, text)

    def test_version(self):
        self.assertRegex(self.out("--version"), r"\Askua \d+\.\d+\.\d+\n\Z")


if __name__ == "__main__":
    unittest.main()
