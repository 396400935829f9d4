"""Answers of a form: --json-schema, --regex, --grammar, --choice."""
import json
import pathlib
import re
import tempfile
import unittest

import support

SMALL = "lm/stories260K/stories260K-v3-f32.gguf"
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 30},
        "country": {"enum": ["France", "Germany", "Spain"]},
        "inhabitants": {"type": "integer", "minimum": 1, "maximum": 99999999},
        "sights": {
            "type": "array",
            "items": {"type": "string", "maxLength": 30},
            "minItems": 1,
            "maxItems": 3,
        },
    },
    "required": ["city", "country", "inhabitants", "sights"],
    "additionalProperties": False,
}
GRAMMAR = 'root ::= item{2,4}\nitem ::= "- " [a-z]{1,12} "\\n"\n'


def fits(value):
    """SCHEMA, by hand."""
    return (
        list(value) == list(SCHEMA["properties"])
        and isinstance(value["city"], str)
        and len(value["city"]) <= 30
        and value["country"] in ("France", "Germany", "Spain")
        and 1 <= value["inhabitants"] <= 99999999
        and 1 <= len(value["sights"]) <= 3
        and all(len(sight) <= 30 for sight in value["sights"])
    )


class ConstraintTest(unittest.TestCase):
    def setUp(self):
        self.model = self.find_model()
        temporary = tempfile.TemporaryDirectory(prefix="skua-constraints-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.schema = self.folder / "schema.json"
        self.schema.write_text(json.dumps(SCHEMA))
        self.grammar = self.folder / "list.gbnf"
        self.grammar.write_text(GRAMMAR)

    def find_model(self):
        return support.asset(SMALL)

    def run_model(self, *arguments, **options):
        return support.skua("run", "-q", "-m", self.model, *arguments,
                            **options)

    def answer(self, *arguments):
        done = self.run_model("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class RealModelTest(ConstraintTest):
    """SmolLM2, whose answers make sense as well."""

    def find_model(self):
        return support.model(support.SMOLLM2)

    def test_json_schema_of_a_file(self):
        for options in (("--temp", 0), ("--temp", 1, "--seed", 1),
                        ("--temp", 3, "--seed", 2)):
            got = self.answer("Tell me about Paris.", "--json-schema",
                              self.schema, *options)
            with self.subTest(options):
                self.assertEqual(got["finish_reason"], "stop")
                self.assertTrue(fits(json.loads(got["text"])), got["text"])
        greedy = self.answer("Tell me about Paris.", "--json-schema",
                             self.schema)
        value = json.loads(greedy["text"])
        self.assertEqual((value["city"], value["country"]),
                         ("Paris", "France"))
        self.assertGreater(greedy["forced_tokens"], 0)

    def test_regex_grammar_and_choice(self):
        got = self.answer("When did the war end?", "--regex",
                          r"[0-9]{4}-(0[1-9]|1[0-2])", "--temp", 2)
        self.assertRegex(got["text"], r"\A[0-9]{4}-(0[1-9]|1[0-2])\Z")
        got = self.answer("A cat or a dog?", "--grammar",
                          'root ::= "[" ("cat" | "dog") "]"', "--temp", 2)
        self.assertIn(got["text"], ("[cat]", "[dog]"))
        got = self.answer("List animals.", "--grammar", self.grammar)
        self.assertRegex(got["text"], r"\A(- [a-z]{1,12}\n){2,4}\Z")
        got = self.answer("Is Paris in France?", "--choice", "yes",
                          "--choice", "no", "--choice", "I do not know")
        self.assertIn(got["text"], ("yes", "no", "I do not know"))

    def test_drafts_give_the_same_text(self):
        question = 'Repeat: {"city": "Lyon", "country": "France"}'
        plain = self.answer(question, "--json-schema", self.schema)
        drafted = self.answer(question, "--json-schema", self.schema,
                              "--prompt-lookup")
        self.assertEqual(drafted["text"], plain["text"])


class EveryWayInTest(ConstraintTest):
    def test_oracle_gives_the_same_answer(self):
        # Of plain operations of MLX, as a GPU has them.
        for form in (("--regex", "The (big|little) dog ran"),
                     ("--json-schema", '{"enum": ["cat", "dog", 3]}'),
                     ("--grammar", self.grammar),
                     ("--choice", "one", "--choice", "two")):
            with self.subTest(form):
                want = self.answer("Once", *form, "--exact")["text"]
                got = self.answer("Once", *form, "--oracle")["text"]
                self.assertEqual(got, want)

    def test_schema_as_text(self):
        got = self.answer("Once", "--json-schema",
                          ' {"type": "integer", "maximum": 9, "minimum": 5}')
        self.assertIn(got["text"], ("5", "6", "7", "8", "9"))

    def test_batch_lines_and_their_errors(self):
        rows = [
            {"json_schema": SCHEMA},
            {"json_schema": {"type": "text"}},
            {"json_schema": json.dumps(SCHEMA), "temperature": 2, "seed": 1},
            {"regex": "["},
            {"choice": ["yes", "no"], "logprobs": True},
            {"grammar": GRAMMAR},
            {"json_schema": {"$ref": "http://example.com/schema"}},
            {"regex": "a", "grammar": GRAMMAR},
            {"regex": "[a-c]{3}", "temperature": 5},
        ]
        given, taken = self.folder / "in.jsonl", self.folder / "out.jsonl"
        given.write_text("".join(
            json.dumps({"prompt": "Once", "options": row}) + "\n"
            for row in rows
        ))
        done = support.skua("batch", given, taken, "-q", "-m", self.model)
        self.assertEqual(done.returncode, 0, done.stderr)
        got = [json.loads(line) for line in taken.read_text().splitlines()]
        for i in (0, 2):
            self.assertTrue(fits(json.loads(got[i]["text"])), got[i])
        self.assertIn(got[4]["text"], ("yes", "no"))
        self.assertEqual([entry["id"] for entry in got[4]["logprobs"]],
                         got[4]["token_ids"])
        self.assertRegex(got[5]["text"], r"\A(- [a-z]{1,12}\n){2,4}\Z")
        self.assertRegex(got[8]["text"], r"\A[a-c]{3}\Z")
        for i, what in ((1, "/type"), (3, "regex"), (6, "$ref"),
                        (7, "regex: got grammar beside it")):
            self.assertIn(what, got[i]["error"])

    def test_mistakes_are_seen_before_the_model_is_looked_for(self):
        def refused(what, *flags):
            done = support.skua("run", "-m", "none", "Once", *flags)
            with self.subTest(flags):
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\n\Z")
                self.assertIn(what, done.stderr)

        bad = self.folder / "bad.json"
        bad.write_text('{"properties": {"a": {"type": "text"}}}')
        refused("/properties/a/type", "--json-schema", bad)
        refused("schema", "--json-schema", "{")
        refused("$ref", "--json-schema", '{"$ref": "other.json"}')
        refused("no such file", "--json-schema", self.folder / "none.json")
        refused("no such file", "--grammar", self.folder / "none.gbnf")
        bad.write_text("root ::= other\n")
        refused("other", "--grammar", bad)
        bad.write_text("")
        refused("grammar: got", "--grammar", bad)
        refused("json_schema: got", "--json-schema", bad)
        refused("regex: got", "--regex", "")
        refused("regex", "--regex", "(a")
        refused("regex: got choice beside it", "--regex", "a",
                "--choice", "b")

    def test_chat_sets_one_in_the_place_of_another_and_none(self):
        lines = ["/set choice yes", "Go on.", "/set regex [a-c]{3}", "Go on.",
                 f"/set json-schema {self.schema}", "Go on.", "/set regex (",
                 "Go on.", "/set json-schema none", "/set", ""]
        done = support.skua("chat", "-q", "-m", self.model,
                            stdin="\n".join(lines))
        self.assertEqual(done.returncode, 0, done.stderr)
        yes, letters, *objects = done.stdout.splitlines()
        self.assertEqual(yes, "yes")
        self.assertTrue(re.fullmatch("[a-c]{3}", letters), letters)
        decoder, text = json.JSONDecoder(), "\n".join(objects)
        first, _ = decoder.raw_decode(text)
        self.assertTrue(fits(first))
        self.assertNotIn("json-schema", done.stderr)


if __name__ == "__main__":
    unittest.main()
