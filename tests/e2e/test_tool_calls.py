"""Answers that call tools: --tools and --tool-choice."""
import json
import pathlib
import tempfile
import unittest

import support

SMALL = "lm/stories260K/stories260K-v3-f32.gguf"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "maxLength": 20},
                    "unit": {"enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city", "unit"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "get_time"}},
]


class ToolCallTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-tools-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.tools = self.write("tools.json", TOOLS)

    def write(self, name, value):
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def check_call(self, call):
        self.assertEqual(call["type"], "function")
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "get_time":
            self.assertEqual(arguments, {})
            return
        self.assertEqual(call["function"]["name"], "get_weather")
        self.assertEqual(set(arguments), {"city", "unit"})
        self.assertLessEqual(len(arguments["city"]), 20)
        self.assertIn(arguments["unit"], ("celsius", "fahrenheit"))


class RealModelTest(ToolCallTest):
    """SmolLM2, whose calls make sense as well."""

    def setUp(self):
        super().setUp()
        self.model = support.model(support.SMOLLM2)

    def answer(self, *arguments):
        done = support.skua("run", "-q", "-m", self.model, "--json",
                            "What is the weather in Paris, in celsius?",
                            "--tools", self.tools, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_named_tool_is_called(self):
        got = self.answer("--tool-choice", "get_weather",
                          "--no-parallel-tool-calls")
        (call,) = got["tool_calls"]
        self.check_call(call)
        self.assertEqual(json.loads(call["function"]["arguments"]),
                         {"city": "Paris", "unit": "celsius"})
        self.assertEqual(got["content"], "")
        self.assertEqual(got["finish_reason"], "stop")
        self.assertGreater(got["forced_tokens"], 5)
        self.assertIn("<tool_call>", got["text"])

    def test_required_calls_are_valid_whatever_the_temperature(self):
        for seed in (1, 2, 3):
            got = self.answer("--tool-choice", "required", "--temp", 2,
                              "--seed", seed, "--no-parallel-tool-calls",
                              "-n", 400)
            with self.subTest(seed):
                if got["finish_reason"] == "stop":
                    self.assertEqual(len(got["tool_calls"]), 1, got["text"])
                for call in got["tool_calls"]:
                    self.check_call(call)

    def test_drafts_give_the_same_text(self):
        flags = ("--tool-choice", "required", "--no-parallel-tool-calls")
        self.assertEqual(self.answer(*flags, "--prompt-lookup")["text"],
                         self.answer(*flags)["text"])

    def test_none_and_auto(self):
        none = self.answer("--tool-choice", "none", "-n", 30)
        self.assertEqual(none["tool_calls"], [])
        self.assertEqual(none["content"], none["text"].strip())
        auto = self.answer("-n", 30)
        self.assertEqual(auto["reasoning"], "")
        self.assertTrue(auto["content"] or auto["tool_calls"])

    def test_batch_lines(self):
        rows = [
            {"tools": TOOLS, "tool_choice": "get_time"},
            {"tools": TOOLS, "tool_choice": {
                "type": "function", "function": {"name": "get_weather"}},
             "parallel_tool_calls": False},
            {"tools": TOOLS, "tool_choice": "fly"},
            {"tools": {}},
            {"max_tokens": 5},
        ]
        given, taken = self.folder / "in.jsonl", self.folder / "out.jsonl"
        given.write_text("".join(
            json.dumps({"prompt": "Paris, celsius", "options":
                        {"max_tokens": 80, **row}}) + "\n"
            for row in rows
        ))
        done = support.skua("batch", given, taken, "-q", "-m", self.model)
        self.assertEqual(done.returncode, 0, done.stderr)
        got = [json.loads(line) for line in taken.read_text().splitlines()]
        for row, name in ((got[0], "get_time"), (got[1], "get_weather")):
            self.assertTrue(row["tool_calls"], row)
            for call in row["tool_calls"]:
                self.check_call(call)
                self.assertEqual(call["function"]["name"], name)
        self.assertIn("tool_choice: got 'fly'", got[2]["error"])
        self.assertIn("tools: got", got[3]["error"])
        self.assertNotIn("tool_calls", got[4])


class MistakeTest(ToolCallTest):
    def refused(self, what, *flags, model="none"):
        done = support.skua("run", "-m", model, "Once", *flags)
        with self.subTest(flags):
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
            self.assertIn(what, done.stderr)

    def test_mistakes_are_seen_before_the_model_is_looked_for(self):
        self.refused("one of the tools get_weather, get_time",
                     "--tools", self.tools, "--tool-choice", "fly")
        self.refused("expected tools with it", "--tool-choice", "required")
        self.refused("tools: got object, expected a list",
                     "--tools", self.write("one.json", TOOLS[0]))
        self.refused("tools: got an empty list", "--tools", "[]")
        self.refused("tools[0]", "--tools", '[{"name": 5}]')
        self.refused("no such file", "--tools", self.folder / "none.json")
        self.refused("tools: got json_schema beside it", "--tools",
                     self.tools, "--json-schema", '{"type": "object"}')
        self.refused("tool_choice: got", "--tools", self.tools,
                     "--tool-choice", "")

    def test_a_model_without_a_form_of_calls(self):
        self.refused("tool calls", "--tools", self.tools,
                     model=support.asset(SMALL))

    def test_a_schema_that_cannot_be_enforced(self):
        model = support.model(support.SMOLLM2)
        bad = [{"name": "f", "parameters": {
            "type": "object", "properties": {"a": {"$ref": "x.json"}}}}]
        self.refused("tool 'f'", "--tools", json.dumps(bad), model=model)


if __name__ == "__main__":
    unittest.main()
