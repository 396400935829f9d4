"""Reads, alters and writes small checkpoints, also ones that lie."""
import json
import pathlib
import resource
import shutil
import struct
import tempfile
import unittest

import support

FAILED, BAD_INPUT, UNSUPPORTED = 1, 2, 3
ONE_GIB = 1 << 30


def tiny(folder, name="llama"):
    """A copy of a tiny checkpoint, which has no tokenizer."""
    source = support.asset("goldens/lm/" + name)
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(source / name, folder / name)
    return folder


def change_config(folder, **changes):
    """Sets keys of config.json; one whose value is ... goes."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({k: v for k, v in config.items() if v is not ...})
    )


def read_safetensors(path):
    """{name: (dtype, shape, bytes)}"""
    raw = path.read_bytes()
    (n,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + n])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            data = raw[8 + n + begin : 8 + n + end]
            tensors[name] = (entry["dtype"], entry["shape"], data)
    return tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [at, at + len(data)],
        }
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    blobs = b"".join(data for _, _, data in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + blobs)


# GGUF's value types: struct codes by number; 8 is string, 9 array.
SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd"))
STRING, ARRAY, U32, F32, I32 = 8, 9, 4, 6, 5


def pack_string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


class Gguf:
    """`values` {key: (type, bytes)}, `tensors` [[name, shape, type, offset]],
    `data` the rest of the file."""

    def __init__(self, path):
        self.raw = path.read_bytes()
        self.at = 4
        self.version, n_tensors, n_values = self.take("<IQQ")
        self.values, self.tensors = {}, []
        for _ in range(n_values):
            key = self.string()
            (kind,) = self.take("<I")
            begin = self.at
            self.skip(kind)
            self.values[key] = (kind, self.raw[begin : self.at])
        for _ in range(n_tensors):
            name = self.string()
            (n_dims,) = self.take("<I")
            shape = self.take(f"<{n_dims}Q")
            self.tensors.append([name, shape, *self.take("<IQ")])
        self.data = self.raw[self.at + -self.at % 32 :]

    def take(self, layout):
        values = struct.unpack_from(layout, self.raw, self.at)
        self.at += struct.calcsize(layout)
        return values

    def string(self):
        (n,) = self.take("<Q")
        self.at += n
        return self.raw[self.at - n : self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            element, n = self.take("<IQ")
            for _ in range(n):
                self.skip(element)
        else:
            self.take("<" + SCALARS[kind])

    def set(self, key, kind, value):
        packed = (
            pack_string(value)
            if kind == STRING
            else struct.pack("<" + SCALARS[kind], value)
        )
        self.values[key] = (kind, packed)

    def write(self, path):
        head = b"GGUF" + struct.pack(
            "<IQQ", self.version, len(self.tensors), len(self.values)
        )
        for key, (kind, packed) in self.values.items():
            head += pack_string(key) + struct.pack("<I", kind) + packed
        for name, shape, kind, offset in self.tensors:
            layout = f"<I{len(shape)}QIQ"
            head += pack_string(name)
            head += struct.pack(layout, len(shape), *shape, kind, offset)
        path.write_bytes(head + bytes(-len(head) % 32) + self.data)
        return path


class RefusalTest(unittest.TestCase):
    """Makes broken checkpoints and sees how the program refuses them."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-bad-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.n_made = 0

    def fresh(self, suffix=""):
        self.n_made += 1
        return self.folder / f"model{self.n_made}{suffix}"

    def llama(self, name="llama", **changes):
        folder = tiny(self.fresh(), name)
        change_config(folder, **changes)
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
