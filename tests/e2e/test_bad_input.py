"""Bad input: one line that names the place, the exit code, nothing more."""
import json
import math
import os
import pathlib
import resource
import shutil
import stat
import struct
import tempfile
import unittest

import checkpoints
import support

FAILED, BAD_INPUT, UNSUPPORTED = 1, 2, 3
ONE_GIB = 1 << 30


class BadInputTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-bad-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.n_made = 0

    def fresh(self, suffix=""):
        self.n_made += 1
        return self.folder / f"model{self.n_made}{suffix}"

    def llama(self, name="llama", **changes):
        folder = checkpoints.tiny(self.fresh(), name)
        checkpoints.change_config(folder, **changes)
        return folder

    def refused(self, done, code, *texts):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Askua: \[[^\n]+\] [^\n]+\n\Z")
        for text in texts:
            self.assertIn(text, done.stderr)

    def probe(self, model, **options):
        # A broken file must not make the program ask for memory.
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (ONE_GIB, ONE_GIB))

        return support.skua(
            *("probe", "logits", "--model", model, "--tokens", "[1, 2]"),
            preexec_fn=limit,
            **options,
        )

    def probe_refused(self, model, code, *texts):
        with self.subTest(texts=texts):
            self.refused(self.probe(model), code, *texts)


class PathTest(BadInputTest):
    def test_model_that_is_not_there(self):
        for name, remedy in (
            (self.folder / "none", "no such directory or .gguf file"),
            ("./none.gguf", "no such directory or .gguf file"),
            ("no-such-model", "skua pull"),
            ("a/b/c", "org/name[:file]"),
        ):
            self.probe_refused(name, BAD_INPUT, str(name), remedy)

    def test_directory_without_config_or_weights(self):
        folder = self.llama()
        (folder / "model.safetensors").unlink()
        self.probe_refused(folder, BAD_INPUT, str(folder), "model.safetensors")
        (folder / "config.json").unlink()
        self.probe_refused(folder, BAD_INPUT, str(folder), "no config.json")

    def test_fifos_and_devices_are_refused_without_waiting(self):
        for name in ("fifo", "fifo.gguf"):
            os.mkfifo(self.folder / name)
            self.probe_refused(self.folder / name, BAD_INPUT, name)
        for device in ("/dev/null", "/dev/zero"):
            self.probe_refused(device, BAD_INPUT, device)
        for name in ("config.json", "model.safetensors"):
            folder = self.llama()
            (folder / name).unlink()
            os.mkfifo(folder / name)
            self.probe_refused(folder, BAD_INPUT, name, "not a regular file")

    def test_unreadable_files(self):
        (self.folder / "loop.gguf").symlink_to("loop.gguf")
        self.probe_refused(self.folder / "loop.gguf", BAD_INPUT, "loop.gguf")
        folder = self.llama()
        (folder / "config.json").chmod(0)
        self.folder.chmod(0o755)
        nobody = {}
        if os.geteuid() == 0:
            nobody = {"user": 65534, "group": 65534, "extra_groups": []}
            try:
                support.skua("--version", **nobody)
            except PermissionError:
                self.skipTest("another user cannot run the program here")
        done = support.skua(
            *("probe", "logits", "-m", folder, "--tokens", "[1]"), **nobody
        )
        self.refused(done, FAILED, "config.json", "Permission denied")

    def test_default_model_that_is_not_there(self):
        done = support.skua(
            *("run", "hi"),
            environment={"SKUA_HOME": str(self.folder), "SKUA_MODEL": ""},
        )
        self.refused(done, BAD_INPUT, "default model", "get_model.py")


class ConfigTest(BadInputTest):
    def test_unknown_architecture_names_those_known(self):
        self.probe_refused(
            *(self.llama(model_type="mixtral"), UNSUPPORTED, "mixtral"),
            *("gemma3", "llama", "mistral", "qwen2", "qwen3"),
        )

    def test_missing_field(self):
        for key in (
            *("model_type", "hidden_size", "intermediate_size", "vocab_size"),
            *("num_hidden_layers", "num_attention_heads", "rms_norm_eps"),
        ):
            folder = self.llama(**{key: ...})
            self.probe_refused(folder, BAD_INPUT, key + " is missing")

    def test_text_that_is_no_json_object(self):
        for text in (
            *(b"", b'{"a":', b"[1]", b"\x00" * 40, b'{"a": "\xff"}'),
            *(b"[" * 100_000, b'{"rms_norm_eps": 1e999}'),
        ):
            folder = self.llama()
            (folder / "config.json").write_bytes(text)
            self.probe_refused(folder, BAD_INPUT, "config.json")

    def test_wrong_type_or_range(self):
        for key, value in (
            ("hidden_size", "48"),
            ("hidden_size", 50),
            ("num_hidden_layers", 1.5),
            ("num_hidden_layers", -1),
            ("num_attention_heads", 0),
            ("num_attention_heads", [6]),
            ("num_key_value_heads", 4),
            ("rms_norm_eps", "small"),
            ("rms_norm_eps", -1),
            ("rope_theta", []),
            ("rope_theta", 0),
            ("rope_scaling", 3),
            ("rope_scaling", {"rope_type": 5}),
            ("rope_scaling", {"rope_type": "linear"}),
            ("rope_scaling", {"rope_type": "linear", "factor": 0}),
            ("rope_scaling", {"rope_type": "llama3", "factor": "x"}),
            ("rope_scaling", {"rope_type": "longrope", "long_factor": [1]}),
            ("tie_word_embeddings", "no"),
            ("vocab_size", 1 << 70),
            ("max_position_embeddings", "many"),
            ("eos_token_id", "</s>"),
            ("eos_token_id", 101),
            ("layer_types", ["full_attention"]),
            ("head_dim", 7),
        ):
            folder = self.llama(**{key: value})
            self.probe_refused(folder, BAD_INPUT, "config.json", key)

    def test_gemma_fields(self):
        for key, value in (
            ("sliding_window_pattern", 0),
            ("query_pre_attn_scalar", 0),
            ("query_pre_attn_scalar", "x"),
            ("rope_local_base_freq", 0),
            ("num_key_value_heads", 4),
        ):
            folder = self.llama("gemma3_text", **{key: value})
            self.probe_refused(folder, BAD_INPUT, "config.json", key)
        folder = self.llama("gemma3", text_config=...)
        self.probe_refused(folder, BAD_INPUT, "text_config is missing")

    def test_huge_size_allocates_nothing(self):
        for key in (
            *("num_hidden_layers", "hidden_size", "vocab_size", "head_dim"),
            *("num_attention_heads", "intermediate_size"),
        ):
            folder = self.llama(**{key: 1 << 30})
            self.probe_refused(folder, BAD_INPUT, "1073741824")

    def test_activation_that_is_not_built(self):
        folder = self.llama(hidden_act="relu2")
        self.probe_refused(folder, UNSUPPORTED, "hidden_act", "relu2")

    def test_quantization_nonsense(self):
        for block, code, text in (
            (5, BAD_INPUT, "object"),
            ({}, BAD_INPUT, "bits is missing"),
            ({"bits": "4", "group_size": 64}, BAD_INPUT, "bits"),
            ({"bits": 4, "group_size": 0}, BAD_INPUT, "group_size"),
            ({"bits": 99, "group_size": 64}, UNSUPPORTED, "99 bits"),
            ({"bits": 4, "group_size": 7}, UNSUPPORTED, "groups of 7"),
            (
                {"bits": 4, "group_size": 64, "mode": "magic"},
                *(UNSUPPORTED, "magic"),
            ),
            (
                {"bits": 4, "group_size": 64, "lm_head": {"bits": 0}},
                *(BAD_INPUT, "lm_head"),
            ),
            ({"quant_method": "gptq"}, UNSUPPORTED, "gptq"),
        ):
            folder = self.llama(quantization=block)
            self.probe_refused(folder, code, "quantization", text)


class SafetensorsTest(BadInputTest):
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


class GgufTest(BadInputTest):
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
        (at,) = (row[3] for row in file.tensors if row[0] == "output_norm.weight")
        data[at : at + 256] = b"\xff" * 256
        file.data = bytes(data)
        path = file.write(self.fresh(".gguf"))
        done = support.skua("run", "-m", path, "hi", "--max-tokens", 2)
        self.refused(done, FAILED, "not finite", "damaged")


class TokenizerTest(BadInputTest):
    def altered(self, alter):
        folder = self.fresh()
        shutil.copytree(support.asset("lm/stories260K/hf"), folder)
        for path in (folder, folder / "tokenizer.json"):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        path = folder / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        alter(tokenizer)
        path.write_text(json.dumps(tokenizer))
        return folder

    def test_tokenizer_without_a_needed_part(self):
        for alter, code, text in (
            (lambda t: t.pop("model"), BAD_INPUT, "model"),
            (lambda t: t["model"].pop("vocab"), BAD_INPUT, "vocab"),
            (lambda t: t["model"].pop("merges"), BAD_INPUT, "merges"),
            (lambda t: t["model"].update(type="Odd"), UNSUPPORTED, "Odd"),
            (lambda t: t.update(normalizer=5), BAD_INPUT, "normalizer"),
            (
                lambda t: t.update(decoder={"type": "Odd"}),
                *(UNSUPPORTED, "Odd"),
            ),
        ):
            self.probe_refused(
                self.altered(alter), code, "tokenizer.json", text
            )

    def test_no_tokenizer_at_all(self):
        folder = self.llama()
        for command in (("run", "hi"), ("tokenize", "hi")):
            done = support.skua(*command, "--model", folder)
            self.assertIn(done.returncode, (BAD_INPUT, UNSUPPORTED))
            self.refused(done, done.returncode, str(folder), "tokenizer.json")


if __name__ == "__main__":
    unittest.main()
