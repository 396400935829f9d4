#!/usr/bin/env python3
"""Writes a llama GGUF file with another number of layers, to time drafts.

  bench/layers.py IN.gguf OUT.gguf LAYERS

Fewer layers are the model's first: a draft model whose guesses are mostly
wrong, since it was not trained to be that short. More layers are copies of the
last that add nothing to what passes through them: a slower model of the same
answers, for which IN.gguf is a draft model that is nearly always right.
Needs the PyPI package gguf.
"""
import sys

import gguf
import numpy as np

# Not the file's own: the writer sets them.
WRITTEN = ("GGUF.", "general.architecture")
# What a layer adds goes through these.
OUTPUTS = ("attn_output.weight", "ffn_down.weight")


def copy_metadata(reader, writer, n_layers):
    for field in reader.fields.values():
        if field.name.startswith(WRITTEN):
            continue
        value = field.contents()
        if field.name.endswith(".block_count"):
            value = n_layers
        sub_type = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, value, field.types[0], sub_type)


def add_copies(writer, tensor, last, n_layers):
    data = tensor.data
    if tensor.name.endswith(OUTPUTS):
        data = np.zeros_like(data)  # zeros in every block format
    for i in range(last + 1, n_layers):
        name = tensor.name.replace(f"blk.{last}.", f"blk.{i}.")
        writer.add_tensor(name, data, raw_dtype=tensor.tensor_type)


def main():
    if len(sys.argv) != 4 or not sys.argv[3].isdigit():
        sys.exit(__doc__)
    reader = gguf.GGUFReader(sys.argv[1])
    n_layers = int(sys.argv[3])
    architecture = reader.fields["general.architecture"].contents()
    n_own = reader.fields[architecture + ".block_count"].contents()
    writer = gguf.GGUFWriter(sys.argv[2], architecture)
    copy_metadata(reader, writer, n_layers)
    for tensor in reader.tensors:
        in_layer = tensor.name.startswith("blk.")
        layer = int(tensor.name.split(".")[1]) if in_layer else -1
        if layer < n_layers:
            writer.add_tensor(
                tensor.name, tensor.data, raw_dtype=tensor.tensor_type
            )
        if layer == n_own - 1:
            add_copies(writer, tensor, layer, n_layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
