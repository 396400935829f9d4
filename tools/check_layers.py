#!/usr/bin/env python3
"""Checks that every #include in src/ follows the arrows of the architecture.

Also refuses MLX outside the folders that may use it, and printing, abort and
exit outside cli/. Exit status 1 with one line per offence.
"""
import pathlib
import re
import sys

BELOW = {
    "base": set(),
    "text": {"base"},
    "media": {"base"},
    "kernels": {"base"},
    "nn": {"kernels", "base"},
    "models": {"nn", "kernels", "text", "media", "base"},
    "generate": {"models", "nn", "kernels", "text", "media", "base"},
    "api": {"generate", "models", "nn", "kernels", "text", "media", "base"},
    "engine": {"generate", "models", "nn", "kernels", "text", "media", "base"},
    "server": {"engine", "generate", "models", "text", "media", "base"},
    "cli": {"api", "server", "engine", "generate", "models", "text", "media", "base"},
}
MLX_FOLDERS = {"kernels", "nn", "models", "generate", "engine"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
PRINTS = re.compile(r"\bstd::(cout|cerr|clog|abort|exit|quick_exit|terminate)\b|\b(printf|abort|exit|_exit)\s*\(")


def check(path, folder):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{number}"
        match = INCLUDE.match(line)
        if match:
            target = match.group(1)
            top = target.split("/")[0]
            if top in BELOW and top != folder and top not in BELOW[folder]:
                yield f"{where}: {folder}/ must not include {top}/"
            if top == "mlx" and folder not in MLX_FOLDERS:
                yield f"{where}: {folder}/ must not include MLX"
            if target == "iostream" and folder != "cli":
                yield f"{where}: <iostream> belongs to cli/ alone"
        elif folder != "cli" and PRINTS.search(line.split("//")[0]):
            yield f"{where}: the library does not print, abort or exit"


def main():
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    offences = []
    for folder in BELOW:
        for path in sorted((source / folder).rglob("*")):
            if path.suffix in {".h", ".cpp"}:
                offences += check(path, folder)
    print("\n".join(offences) if offences else "layers: all includes point down")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
