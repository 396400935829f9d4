"""Heads for multi-token prediction: hidden, counted, and drafting."""
import json
import random
import struct
import unittest

import checkpoints
import support

HEAD = "model.mtp_layers.0."
VOCAB, DIM, MLP, KV = 512, 48, 80, 16
OUTER = {
    "model.embed_tokens.weight": [VOCAB, DIM],
    "lm_head.weight": [VOCAB, DIM],
}
SHAPES = {
    **{
        name + "_layernorm.weight": [DIM]
        for name in ("token", "hidden", "input", "post_attention", "final")
    },
    "input_proj.weight": [DIM, 2 * DIM],
    "self_attn.q_proj.weight": [DIM, DIM],
    "self_attn.k_proj.weight": [KV, DIM],
    "self_attn.v_proj.weight": [KV, DIM],
    "self_attn.q_proj.bias": [DIM],
    "self_attn.k_proj.bias": [KV],
    "self_attn.v_proj.bias": [KV],
    "self_attn.o_proj.weight": [DIM, DIM],
    "mlp.gate_proj.weight": [MLP, DIM],
    "mlp.up_proj.weight": [MLP, DIM],
    "mlp.down_proj.weight": [DIM, MLP],
}


class MtpTest(checkpoints.RefusalTest):
    def mimo(self, **shapes):
        """The golden MiMo with a head and a vocabulary for a tokenizer; a shape
        of the head may be another than it is."""
        folder = self.llama("mimo", vocab_size=VOCAB)
        tokenizer = support.asset("lm/stories260K/hf/tokenizer.json")
        (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        path = folder / "model.safetensors"
        tensors = checkpoints.read_safetensors(path)
        numbers = random.Random(1)
        of_head = {HEAD + n: s for n, s in {**SHAPES, **shapes}.items()}
        for name, shape in {**OUTER, **of_head}.items():
            n = shape[0] * (shape[1] if len(shape) > 1 else 1)
            values = [numbers.gauss(0, 0.2) for _ in range(n)]
            data = struct.pack(f"<{n}f", *values)
            tensors[name] = ("F32", shape, data)
        checkpoints.write_safetensors(path, tensors)
        return folder

    def run_json(self, folder, *more):
        done = support.skua(
            *("run", "-m", folder, "--raw", "-q", "-n", "30", "--json"),
            *("--ignore-eos", *more, "Once upon"),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    # SPEC-15
    def test_the_text_is_that_without_heads(self):
        folder = self.mimo()
        plain = self.run_json(folder)
        self.assertNotIn("draft", plain)
        for n in ("1", "2", "5"):
            drafted = self.run_json(folder, "--mtp", "--draft-tokens", n)
            self.assertEqual(drafted["token_ids"], plain["token_ids"])
            self.assertGreater(drafted["draft"]["proposed"], 0)
            self.assertEqual(drafted["draft"]["warning"], "")
        lines = self.folder / "in.jsonl"
        lines.write_text('{"prompt": "Once upon", "raw": true}\n' * 3)
        out = self.folder / "out.jsonl"
        support.skua(
            *("batch", lines, out, "-m", folder, "--mtp", "-n", "30"),
            "--ignore-eos",
        )
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual([row["token_ids"] for row in rows], [plain["token_ids"]] * 3)

    # COMP-25
    def test_explain_counts_what_is_hidden(self):
        folder = self.mimo()
        done = support.skua("explain", folder, "--json")
        hidden = json.loads(done.stdout)["tensors"]["hidden"]
        self.assertEqual(sorted(hidden), sorted(HEAD + name for name in SHAPES))
        text = support.skua("explain", folder).stdout
        self.assertIn(f"unused 0; hidden {len(SHAPES)}", text)

    # COMP-18, COMP-25
    def test_a_damaged_head_matters_only_where_it_is_read(self):
        folder = self.mimo(**{"input_proj.weight": [DIM, DIM]})
        self.run_json(folder)
        done = support.skua("run", "-m", folder, "--mtp", "a")
        self.refused(done, checkpoints.BAD_INPUT, HEAD + "input_proj")

    # SPEC-17
    def test_a_model_without_heads_is_refused(self):
        folder = support.asset("lm/stories260K/hf")
        for command in (
            ("run", "a"),
            ("chat",),
            ("batch", __file__, self.folder / "out"),
        ):
            done = support.skua(*command, "-m", folder, "--mtp")
            self.refused(done, checkpoints.BAD_INPUT, "has no heads")

    def test_other_sources_of_drafts_exclude_it(self):
        for more in (("--draft", "x"), ("--prompt-lookup",), ("--oracle",)):
            done = support.skua("run", "--mtp", *more, "a")
            self.assertEqual(done.returncode, 2, more)
            self.assertIn("--mtp", done.stderr)
            self.assertIn(more[0], done.stderr)


if __name__ == "__main__":
    unittest.main()
