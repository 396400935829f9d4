"""Bad input: one line that names the place, the exit code, nothing more."""
import json
import os
import shutil
import stat
import unittest

import checkpoints
import support
from checkpoints import BAD_INPUT, FAILED, UNSUPPORTED


class PathTest(checkpoints.RefusalTest):
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


class ConfigTest(checkpoints.RefusalTest):
    def test_unknown_architecture_names_those_known(self):
        self.probe_refused(
            *(self.llama(model_type="mixtral"), UNSUPPORTED, "mixtral"),
            *("gemma3", "llama", "mimo", "mistral", "qwen2", "qwen3"),
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


class TokenizerTest(checkpoints.RefusalTest):
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
