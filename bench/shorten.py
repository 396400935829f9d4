#!/usr/bin/env python3
"""Writes a llama GGUF file that has a model's first layers only.

  bench/shorten.py IN.gguf OUT.gguf LAYERS

The result stands in for a small draft model in `skua_bench generate --draft`:
it has the tokens of the model and costs as much as a model of so few layers,
but its guesses are those of a model that was not trained to be that short.
Needs the PyPI package gguf.
"""
import sys

import gguf

# Not the file's own: the writer sets them.
WRITTEN = ("GGUF.", "general.architecture")


def is_left_out(name, n_layers):
    return name.startswith("blk.") and int(name.split(".")[1]) >= n_layers


def copy_metadata(reader, writer, n_layers):
    for field in reader.fields.values():
        if field.name.startswith(WRITTEN):
            continue
        value = field.contents()
        if field.name.endswith(".block_count"):
            if not 0 < n_layers < value:
                sys.exit(f"LAYERS is {n_layers}, expected 1 to {value - 1}")
            value = n_layers
        sub_type = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, value, field.types[0], sub_type)


def main():
    if len(sys.argv) != 4 or not sys.argv[3].isdigit():
        sys.exit(__doc__)
    reader = gguf.GGUFReader(sys.argv[1])
    n_layers = int(sys.argv[3])
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(sys.argv[2], architecture)
    copy_metadata(reader, writer, n_layers)
    for tensor in reader.tensors:
        if not is_left_out(tensor.name, n_layers):
            writer.add_tensor(
                tensor.name, tensor.data, raw_dtype=tensor.tensor_type
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
