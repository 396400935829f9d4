#!/usr/bin/env python3
"""Writes a recurrent model of random weights in 4 bits, to time its steps.

  bench/random_model.py lfm2|mamba2 FOLDER

The shapes are those of LFM2 1.2B and of Mamba 2 1.3B. There is no tokenizer:
`skua_bench model FOLDER` feeds random tokens. Needs the PyPI package numpy.
"""
import json
import pathlib
import sys

import numpy as np

GROUP, BITS = 64, 4
BF16_HUNDREDTH = 0x3C24  # the upper half of 0.01 in float32


class Writer:
    def __init__(self):
        self.random = np.random.default_rng(1)
        self.header, self.parts, self.n_bytes = {}, [], 0

    def add(self, name, dtype, array):
        end = self.n_bytes + array.nbytes
        self.header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [self.n_bytes, end],
        }
        self.parts.append(array)
        self.n_bytes = end

    def matrix(self, path, rows, columns):
        words = (rows, columns * BITS // 32)
        packed = self.random.integers(0, 2**32, words, dtype=np.uint32)
        self.add(path + ".weight", "U32", packed)
        scales = np.full((rows, columns // GROUP), BF16_HUNDREDTH, np.uint16)
        self.add(path + ".scales", "BF16", scales)
        # Codes of 0 to 15 become numbers around 0.
        biases = np.full(scales.shape, 0xBD9A, np.uint16)  # -0.075
        self.add(path + ".biases", "BF16", biases)

    def vector(self, name, *shape, value=1.0):
        if len(shape) > 1:
            values = self.random.standard_normal(shape) * 0.1
        else:
            values = np.full(shape, value)
        self.add(name, "F32", values.astype(np.float32))

    def save(self, folder, config):
        folder.mkdir(parents=True, exist_ok=True)
        config["quantization"] = {"group_size": GROUP, "bits": BITS}
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        header = json.dumps(self.header).encode()
        header += b" " * (-len(header) % 8)
        with (folder / "model.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for part in self.parts:
                file.write(part.tobytes())


def lfm2(w):
    dim, hidden, vocab, heads, kv_heads = 2048, 8192, 65536, 32, 8
    attends = (2, 5, 8, 10, 12, 14)
    w.matrix("model.embed_tokens", vocab, dim)
    w.vector("model.embedding_norm.weight", dim)
    for i in range(16):
        layer = f"model.layers.{i}."
        w.vector(layer + "operator_norm.weight", dim)
        w.vector(layer + "ffn_norm.weight", dim)
        if i in attends:
            head_dim = dim // heads
            w.vector(layer + "self_attn.q_layernorm.weight", head_dim)
            w.vector(layer + "self_attn.k_layernorm.weight", head_dim)
            for name, rows in (("q_proj", dim), ("k_proj", kv_heads * head_dim),
                               ("v_proj", kv_heads * head_dim),
                               ("out_proj", dim)):
                w.matrix(f"{layer}self_attn.{name}", rows, dim)
        else:
            w.matrix(layer + "conv.in_proj", 3 * dim, dim)
            w.vector(layer + "conv.conv.weight", dim, 3, 1)
            w.matrix(layer + "conv.out_proj", dim, dim)
        w.matrix(layer + "feed_forward.w1", hidden, dim)
        w.matrix(layer + "feed_forward.w3", hidden, dim)
        w.matrix(layer + "feed_forward.w2", dim, hidden)
    return {
        "model_type": "lfm2", "vocab_size": vocab, "hidden_size": dim,
        "num_hidden_layers": 16, "full_attn_idxs": attends,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "block_ff_dim": hidden, "block_auto_adjust_ff_dim": False,
        "conv_L_cache": 3, "norm_eps": 1e-5, "rope_theta": 1e6,
        "max_position_embeddings": 32768, "tie_word_embeddings": True,
    }


def mamba2(w):
    dim, heads, head_dim, state, vocab, layers = 2048, 64, 64, 128, 50288, 48
    inner = heads * head_dim
    mixed = inner + 2 * state
    w.matrix("backbone.embeddings", vocab, dim)
    w.vector("backbone.norm_f.weight", dim)
    for i in range(layers):
        layer = f"backbone.layers.{i}."
        w.vector(layer + "norm.weight", dim)
        w.vector(layer + "mixer.norm.weight", inner)
        w.vector(layer + "mixer.A_log", heads)
        w.vector(layer + "mixer.D", heads)
        w.vector(layer + "mixer.dt_bias", heads, value=-3)
        w.vector(layer + "mixer.conv1d.weight", mixed, 4, 1)
        w.vector(layer + "mixer.conv1d.bias", mixed, value=0)
        w.matrix(layer + "mixer.in_proj", inner + mixed + heads, dim)
        w.matrix(layer + "mixer.out_proj", dim, inner)
    return {
        "model_type": "mamba2", "vocab_size": vocab, "hidden_size": dim,
        "num_hidden_layers": layers, "num_heads": heads, "head_dim": head_dim,
        "n_groups": 1, "state_size": state, "conv_kernel": 4,
        "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
        "use_conv_bias": True,
    }


def main():
    models = {"lfm2": lfm2, "mamba2": mamba2}
    if len(sys.argv) != 3 or sys.argv[1] not in models:
        sys.exit(__doc__)
    writer = Writer()
    config = models[sys.argv[1]](writer)
    writer.save(pathlib.Path(sys.argv[2]), config)


main()
