"""The commands that show, completion and help."""
import json
import pathlib
import re
import subprocess
import unittest

import support

COMMANDS = (
    *("run", "chat", "batch", "pull", "list", "show", "tokenize", "template"),
    *("probe", "perplexity", "score", "explain", "completion"),
)


CALLED = [
    {"role": "user", "content": "Rain?"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_0", "type": "function", "function":
         {"name": "weather", "arguments": "{\"city\": \"Lyon\"}"}}]},
    {"role": "tool", "tool_call_id": "call_0", "content": "3 mm"},
]


def calling_model(folder):
    """stories260K with a template that shows calls."""
    folder.mkdir()
    for path in support.asset("lm/stories260K/hf").iterdir():
        (folder / path.name).symlink_to(path.resolve())
    (folder / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}"
        "{% for c in m.tool_calls %}[{{ c.function.name }} "
        "{{ c.function.arguments | tojson }}]{% endfor %};{% endfor %}"
    )
    return folder


class ShowTest(support.ToolTest):
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


class CpuTest(support.ToolTest):
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


class ListTest(support.ToolTest):
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


class TokenizeTest(support.ToolTest):
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

    def test_offsets_cut_the_text(self):
        text = "Hello wörld, 2 birds"
        tokens = self.json("tokenize", "-m", self.model, "--json", text)
        parts = [text.encode()[a:b] for a, b in tokens["offsets"]]
        self.assertEqual(b"".join(parts), text.encode())
        self.assertEqual(len(parts), len(tokens["ids"]))

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

    def test_a_tokenizer_needs_no_model(self):
        folder = support.asset("tokenizers/phi-3-mini")
        command = ("--json", "Hello wörld 5")
        whole = self.json("tokenize", "-m", folder, *command)
        alone = self.json(
            *("tokenize", "-m", folder / "tokenizer.json", *command)
        )
        self.assertEqual(alone, whole)
        ranks = support.asset("tokenizers/o200k_base.tiktoken")
        ids = self.json("tokenize", "-m", ranks, "--json", "Hello")["ids"]
        self.assertEqual(ids, [13225])
        readme = support.asset("README.md")
        self.refused(2, "README.md", "tokenize", "-m", readme, "Hello")

    def test_bad_ids(self):
        for ids in ('[1,"a"]', "[1.5]", "[-1]", "[49152]", "3", "{", "[[1]]"):
            self.refused(
                *(2, "[ids]", "tokenize", "-m", self.model, "--decode", ids)
            )

    def test_text_that_is_not_utf8(self):
        self.refused(
            *(2, "UTF-8", "tokenize", "-m", self.model), stdin="a\udcff"
        )


class TemplateTest(support.ToolTest):
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

    def test_calls_and_their_results_reach_the_template(self):
        folder = calling_model(self.folder / "model")
        command = ("template", "-m", folder, "--messages")
        self.assertEqual(
            self.out(*command, self.write("m.json", CALLED)),
            "<s>user:Rain?;assistant:[weather {\"city\": \"Lyon\"}];tool:3 mm;",
        )
        self.assertEqual(self.out(*command, json.dumps(CALLED)),
                         self.out(*command, self.folder / "m.json"))
        self.assertEqual(self.out(*command, json.dumps({"messages": CALLED})),
                         self.out(*command, self.folder / "m.json"))
        broken = json.loads(json.dumps(CALLED))
        broken[1]["tool_calls"][0]["function"]["arguments"] = "{city}"
        self.refused(2, "messages[1].tool_calls[0].function.arguments",
                     *command, self.write("b.json", broken))

    def test_a_conversation_goes_on_behind_a_call(self):
        folder = calling_model(self.folder / "model")
        messages = self.write("m.json", CALLED)
        prompt = self.out("template", "-m", folder, "--messages", messages)
        flags = ("run", "-q", "-m", folder, "-n", 6)
        expected = self.out(*flags, "--messages", messages)
        raw = self.out(*flags, "--raw", prompt.removeprefix("<s>"))
        self.assertEqual(raw.strip(), expected.strip())
        saved = self.write("s.json", {"messages": CALLED})
        self.assertEqual(self.out(*flags, "--messages", saved), expected)
        given = self.write("in.jsonl", json.dumps({"messages": CALLED}) + "\n")
        self.out("batch", given, self.folder / "out.jsonl", *flags[1:])
        [row] = (self.folder / "out.jsonl").read_text().splitlines()
        self.assertEqual(json.loads(row)["text"] + "\n", expected)

    def test_a_template_that_shows_no_calls_is_told_of(self):
        messages = self.write("m.json", CALLED)
        note = "shows no tool calls"
        for model, text in (
            (calling_model(self.folder / "model"), ""),
            (support.asset("lm/stories260K/hf"), note),
        ):
            done = support.skua("run", "-m", model, "-n", 2,
                                "--messages", messages)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(note in done.stderr, bool(text), done.stderr)

    def test_a_conversation_that_is_none_is_refused_by_its_place(self):
        def refused(text, messages):
            self.refused(2, text, "run", "-m", "none", "--messages",
                         self.write("m.json", messages))
        user = {"role": "user", "content": "a"}
        refused("holds no conversation", {"message": []})
        refused("expected a list of", [])
        refused("[messages[1]] has no 'content'", [user, {"role": "user"}])
        refused("messages[0].content] got number", [{**user, "content": 1}])
        refused("messages[0]] has 'text'", [{**user, "text": 1}])
        call = {"function": {"name": "f", "arguments": "{"}}
        refused("messages[0].tool_calls[0].function.arguments",
                [{"role": "assistant", "tool_calls": [call]}])
        self.refused(2, "excludes --messages", "run", "Hello", "--messages", "m.json")

    def test_a_message_is_continued(self):
        model = support.model(support.SMOLLM2)
        messages = self.write("m.json", [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "Once upon"},
        ])
        command = ("template", "-m", model, "--messages", messages)
        begun = self.out(*command, "--continue-final-message")
        self.assertTrue(begun.endswith("<|im_start|>assistant\nOnce upon"))
        whole = self.out(*command, "--no-generation-prompt")
        self.assertTrue(whole.startswith(begun + "<|im_end|>"))
        nothing = self.write("n.json", [])
        self.refused(2, "a message to continue", *command[:-1], nothing,
                     "--continue-final-message")

    def test_content_parts(self):
        model = support.model(support.SMOLLM2)
        def render(content):
            path = self.write("m.json", [{"role": "user", "content": content}])
            return self.out("template", "-m", model, "--messages", path)
        one, two = ({"type": "text", "text": text} for text in ("a", "b"))
        self.assertEqual(render([one, two]), render("a\nb"))
        image = self.write("i.json", [
            {"role": "user", "content": [one, {"type": "image"}]}
        ])
        self.refused(2, "messages[0].content[1]", "template", "-m", model,
                     "--messages", image)

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


class CompletionTest(support.ToolTest):
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


class HelpTest(support.ToolTest):
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
