"""Weights that are damaged, lie or do not fit: refused in one line."""
import json
import math
import struct
import unittest

import checkpoints
import support
from checkpoints import BAD_INPUT, FAILED, UNSUPPORTED


class SafetensorsTest(checkpoints.RefusalTest):
    NAME = "model.layers.1.self_attn.q_proj.weight"

    def altered(self, alter):
        folder = self.llama()
        path = folder / "model.safetensors"
        tensors = checkpoints.read_safetensors(path)
        alter(tensors)
        checkpoints.write_safetensors(path, tensors)
        return folder

    def test_missing_tensor(self):
        for name in (self.NAME, "model.norm.weight", "lm_head.weight"):
            folder = self.altered(lambda tensors: tensors.pop(name))
            self.probe_refused(
                folder, BAD_INPUT, str(folder), name + " is missing"
            )

    def test_unused_tensor(self):
        for name in ("model.extra", "model.layers.1.mlp.up_proj.odd"):
            value = ("F32", [1], bytes(4))
            folder = self.altered(lambda tensors: tensors.update({name: value}))
            self.probe_refused(folder, BAD_INPUT, "does not use: " + name)

    def test_wrong_shape(self):
        def reshape(shape):
            def alter(tensors):
                dtype, _, data = tensors[self.NAME]
                n_bytes = 4 * math.prod(shape)
                tensors[self.NAME] = (dtype, shape, data[:n_bytes])

            return alter

        for shape in ([24, 96], [47, 48], [48 * 48], [48, 48, 1], [0, 48]):
            self.probe_refused(
                self.altered(reshape(shape)),
                *(BAD_INPUT, self.NAME, "expected [48, 48]"),
            )

    def test_wrong_number_type(self):
        def alter(tensors):
            tensors[self.NAME] = ("I32", *tensors[self.NAME][1:])

        self.probe_refused(self.altered(alter), BAD_INPUT, self.NAME, "dtype")

    def test_scales_without_quantization(self):
        name = self.NAME.replace("weight", "scales")
        value = ("F32", [48, 1], bytes(48 * 4))
        self.probe_refused(
            self.altered(lambda tensors: tensors.update({name: value})),
            *(BAD_INPUT, "q_proj has scales", "quantization"),
        )

    def test_truncated_or_damaged(self):
        whole = (self.llama() / "model.safetensors").read_bytes()
        flipped = bytearray(whole)
        flipped[20] ^= 0x80
        for data in (
            *(whole[:n] for n in (0, 4, 100, 5000, len(whole) - 1)),
            *(whole + b"x", bytes(flipped)),
            *(struct.pack("<Q", n) + whole[8:] for n in (0, 1 << 60)),
        ):
            folder = self.llama()
            (folder / "model.safetensors").write_bytes(data)
            self.probe_refused(
                *(folder, BAD_INPUT, "model.safetensors", "get it again")
            )

    def test_index_that_does_not_fit_its_shards(self):
        for index, text in (
            ({}, "weight_map"),
            ({"weight_map": {"a": "b.safetensors"}}, "b.safetensors"),
            ({"weight_map": {"a": "../c.safetensors"}}, "bare name"),
            ({"weight_map": {"a": "model.safetensors"}}, "index"),
        ):
            folder = self.llama()
            path = folder / "model.safetensors.index.json"
            path.write_text(json.dumps(index))
            self.probe_refused(folder, BAD_INPUT, text)


class GgufTest(checkpoints.RefusalTest):
    def setUp(self):
        super().setUp()
        self.source = support.asset(
            "lm/stories260K/stories260K-v3-q8_0.gguf"
        )

    def altered(self, alter):
        file = checkpoints.Gguf(self.source)
        alter(file)
        return file.write(self.fresh(".gguf"))

    def with_value(self, key, kind, value):
        return self.altered(lambda file: file.set(key, kind, value))

    def test_unaltered_copy_runs(self):
        self.assertEqual(self.probe(self.altered(lambda _: 0)).returncode, 0)

    def test_truncated_or_damaged(self):
        whole = self.source.read_bytes()
        for n in (3, 20, 200, 10_000, 200_000, len(whole) - 1):
            path = self.fresh(".gguf")
            path.write_bytes(whole[:n])
            self.probe_refused(path, BAD_INPUT, str(path), "get it again")

    def test_empty_or_of_another_kind(self):
        for data in (b"", b"hello, this is text", bytes(4096)):
            path = self.fresh(".gguf")
            path.write_bytes(data)
            self.probe_refused(path, BAD_INPUT, "is not a GGUF file")

    def test_unknown_architecture_names_those_known(self):
        path = self.with_value(
            "general.architecture", checkpoints.STRING, "mixtral"
        )
        self.probe_refused(path, UNSUPPORTED, "mixtral", "llama", "qwen3")

    def test_counts_that_lie(self):
        for key, values in (
            ("attention.head_count", (0, 1, 3, 64, 1 << 31)),
            ("attention.head_count_kv", (0, 3, 16, 1 << 31)),
            ("attention.key_length", (0, 5, 64, 1 << 31)),
            ("embedding_length", (0, 1, 63, 1 << 31)),
            ("feed_forward_length", (0, 5, 1 << 31)),
            ("block_count", (0, 1, 6, 1 << 30, 0xFFFFFFFF)),
            ("context_length", (0, 0xFFFFFFFF)),
            ("rope.dimension_count", (0, 3)),
        ):
            for value in values:
                path = self.with_value("llama." + key, checkpoints.U32, value)
                done = self.probe(path)
                with self.subTest(key=key, value=value):
                    self.assertIn(done.returncode, (BAD_INPUT, UNSUPPORTED))
                    self.refused(done, done.returncode, str(path))

    def test_numbers_that_are_none(self):
        for key in ("attention.layer_norm_rms_epsilon", "rope.freq_base"):
            for value in (math.nan, math.inf, -1.0):
                path = self.with_value("llama." + key, checkpoints.F32, value)
                self.probe_refused(path, BAD_INPUT, str(path))

    def test_missing_metadata(self):
        for key in (
            *("general.architecture", "llama.block_count"),
            *("tokenizer.ggml.model", "tokenizer.ggml.tokens"),
        ):
            path = self.altered(lambda file: file.values.pop(key))
            self.probe_refused(path, BAD_INPUT, key, "missing")

    def test_metadata_of_another_kind(self):
        for key in ("general.architecture", "tokenizer.ggml.tokens"):
            path = self.with_value(key, checkpoints.U32, 5)
            self.probe_refused(path, BAD_INPUT, key)

    def test_tensors_that_lie(self):
        def tensor(i, field, value):
            def alter(file):
                file.tensors[i][field] = value

            return alter

        def without(file):
            del file.tensors[3]

        for alter, code, text in (
            (without, BAD_INPUT, "v_proj.weight is missing"),
            (lambda file: file.tensors.clear(), BAD_INPUT, "is missing"),
            (tensor(0, 0, "odd.weight"), BAD_INPUT, "token_embd.weight"),
            (tensor(1, 0, "odd.weight"), UNSUPPORTED, "odd.weight"),
            (tensor(0, 1, (64, 256)), BAD_INPUT, "expected"),
            (tensor(1, 1, (32, 128)), BAD_INPUT, "q_proj"),
            (tensor(0, 1, (1 << 40, 1 << 40)), BAD_INPUT, "token_embd.weight"),
            (tensor(0, 1, (0, 512)), BAD_INPUT, "token_embd.weight"),
            (tensor(0, 2, 99), UNSUPPORTED, "token_embd.weight"),
            (tensor(0, 3, 1 << 62), BAD_INPUT, "outside the file"),
        ):
            self.probe_refused(self.altered(alter), code, text)

    def test_template_that_does_not_parse(self):
        path = self.with_value(
            "tokenizer.chat_template", checkpoints.STRING, "{% for x in %}"
        )
        self.probe_refused(path, BAD_INPUT, "chat template:1:13")

    def test_weights_that_are_not_numbers(self):
        path = self.altered(lambda file: 0)
        data = bytearray(path.read_bytes())
        data[-256:] = b"\xff" * 256
        path.write_bytes(data)
        self.probe_refused(path, BAD_INPUT, str(path), "get it again")

    def test_answer_that_is_not_a_number(self):
        self.source = support.asset("lm/stories260K/stories260K-v3-f32.gguf")
        file = checkpoints.Gguf(self.source)
        data = bytearray(file.data)
        (at,) = (
            row[3] for row in file.tensors if row[0] == "output_norm.weight"
        )
        data[at : at + 256] = b"\xff" * 256
        file.data = bytes(data)
        path = file.write(self.fresh(".gguf"))
        done = support.skua("run", "-m", path, "hi", "--max-tokens", 2)
        self.refused(done, FAILED, "not finite", "damaged")


if __name__ == "__main__":
    unittest.main()
