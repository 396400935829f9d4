#!/usr/bin/env python3
"""Writes models of the test assets as GGUF files, with the names that the
`gguf` package has for their tensors.

  make_gguf_fixtures.py FOLDER [ASSETS]

FOLDER/lfm2.gguf is ASSETS/goldens/lm/lfm2, with the metadata that llama.cpp's
converter writes. Needs the packages of tools/requirements/test-oracles.txt.
"""
import json
import pathlib
import sys

import gguf
import numpy as np


def read_safetensors(path):
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:end]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", name
        first, last = (end + at for at in entry["data_offsets"])
        values = np.frombuffer(data[first:last], "<f4")
        yield name, values.reshape(entry["shape"])


def add_lfm2_metadata(writer, config, hidden_size):
    n_layers = config["num_hidden_layers"]
    n_heads = config["num_attention_heads"]
    attends = [i in config["full_attn_idxs"] for i in range(n_layers)]
    n_kv_heads = config["num_key_value_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(n_layers)
    writer.add_feed_forward_length(hidden_size)
    writer.add_head_count(n_heads)
    writer.add_head_count_kv([n_kv_heads if here else 0 for here in attends])
    writer.add_layer_norm_rms_eps(config["norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // n_heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_shortconv_l_cache(config["conv_L_cache"])


def make_lfm2(source, target):
    config = json.loads((source / "config.json").read_text())
    tensors = dict(read_safetensors(source / "model.safetensors"))
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH.LFM2, config["num_hidden_layers"]
    )
    writer = gguf.GGUFWriter(target, "lfm2")
    hidden_size = tensors["model.layers.0.feed_forward.w1.weight"].shape[0]
    add_lfm2_metadata(writer, config, hidden_size)
    for name, values in tensors.items():
        if name.endswith("conv.conv.weight"):
            values = values.squeeze(values.shape.index(1))
        new = names.get_name(name, try_suffixes=(".weight",))
        assert new, name
        writer.add_tensor(new, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) < 3:
        return
    source = pathlib.Path(sys.argv[2]) / "goldens/lm/lfm2"
    if source.is_dir():
        make_lfm2(source, folder / "lfm2.gguf")


main()
