#!/usr/bin/env python3
"""Writes random ggml blocks and what the `gguf` package decodes them to.

  make_ggml_fixtures.py FOLDER

For each encoding: FOLDER/<name>.blocks and FOLDER/<name>.f32 (little-endian
float32). Needs the packages of tools/requirements/test-oracles.txt.
"""
import pathlib
import sys

import gguf
import numpy as np

N_RANDOM = 192
# Where the half-precision scales lie in a block.
SCALES = {
    "F32": [], "F16": [], "BF16": [],
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2],
    "Q6_K": [208],
}
# Largest; smallest normal; its neighbours below; smallest; signed zeros; the
# last that eight, 16 and 128 times fit a half, with what follows each.
EXTREME = [0x7bff, 0xfbff, 0x0400, 0x8400, 0x03ff, 0x83ff, 0x0001, 0x8001,
           0x0000, 0x8000, 0x6fff, 0x7000, 0x6bff, 0x6c00, 0x5fff, 0x6000]
NOT_FINITE = [0x7c00, 0xfc00, 0x7e00]


def with_scales(blocks, places, choices, random):
    for place in places:
        chosen = random.choice(np.array(choices, dtype="<u2"), len(blocks))
        blocks[:, place:place + 2] = chosen.view(np.uint8).reshape(-1, 2)
    return blocks


def make_blocks(name, random):
    """uint8 [n, bytes of a block]: ordinary scales first, then extreme ones,
    then (one each) ones that are not finite."""
    n_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
    draw = lambda n: random.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    places = SCALES[name]
    if not places:
        return draw(4096)
    usual = random.normal(0, 0.02, N_RANDOM).astype("<f2").view("<u2")
    parts = [
        with_scales(draw(N_RANDOM), places, usual, random),
        with_scales(draw(len(EXTREME) * 4), places, EXTREME, random),
        with_scales(draw(len(NOT_FINITE)), places, NOT_FINITE, random),
    ]
    return np.concatenate(parts)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20240229)
    for name in SCALES:
        blocks = make_blocks(name, random)
        with np.errstate(all="ignore"):
            values = gguf.quants.dequantize(
                blocks, gguf.GGMLQuantizationType[name])
        (folder / f"{name}.blocks").write_bytes(blocks.tobytes())
        (folder / f"{name}.f32").write_bytes(
            values.astype("<f4").tobytes())
    print(f"{len(SCALES)} encodings in {folder}")


if __name__ == "__main__":
    main()
