"""Times the PyPI package tokenizers on one thread, for skua_bench tokenize.

  tokenize.py make RANKS TOKENIZER.json    a tokenizer.json of a rank file
  tokenize.py pieces VOCABULARY TOKENIZER.json    WordPiece, of BERT's vocab.txt
  tokenize.py words TEXT TOKENIZER.json    WordLevel, of the words of a text
  tokenize.py text OUT.txt FILE...         1 MB of text out of files
  tokenize.py time TOKENIZER.json TEXT     milliseconds, as JSON
  tokenize.py compare SKUA_BENCH TOKENIZER.json TEXT [FILE]    both, and how often
      faster; FILE holds the same tokenizer in another format, for Skua to read

Run it with an interpreter that has the package (build/venv of the tests).
"""
import base64
import json
import os
import pathlib
import subprocess
import sys
import time

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
N_BYTES = 1 << 20
N_RUNS = 5


def spell(token):
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = {b: chr(b) for b in keep}
    chars.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in chars)})
    return "".join(chars[b] for b in token)


def make(ranks_path, out):
    """Each way to join two tokens to a third, by the rank of the third."""
    ranks = {}
    for line in pathlib.Path(ranks_path).read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    merges = []
    for token in sorted(ranks, key=ranks.get):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        cuts = [c for c in cuts if c[0] in ranks and c[1] in ranks]
        merges += sorted(cuts, key=lambda c: (ranks[c[0]], ranks[c[1]]))
    state = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": True, "vocab": {spell(t): r for t, r in ranks.items()},
                  "merges": [[spell(a), spell(b)] for a, b in merges]}}
    pathlib.Path(out).write_text(json.dumps(state))


def pieces(vocabulary, out):
    from tokenizers import BertWordPieceTokenizer

    BertWordPieceTokenizer(vocabulary).save(out)


def words(text_path, out):
    from tokenizers import Tokenizer, models, pre_tokenizers

    split = pre_tokenizers.Whitespace()
    found = split.pre_tokenize_str(pathlib.Path(text_path).read_text())
    names = dict.fromkeys(["[UNK]", *(word for word, _ in found)])
    tokenizer = Tokenizer(models.WordLevel(
        {name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = split
    tokenizer.save(out)


def text(out, *files):
    """As many bytes of each file, once over and again."""
    joined = b"".join(pathlib.Path(f).read_bytes() for f in files)
    while len(joined) < N_BYTES:
        joined += joined
    cut = joined[:N_BYTES].decode("utf-8", "ignore")
    pathlib.Path(out).write_text(cut)


def best(run):
    times = []
    for _ in range(N_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def compare(program, tokenizer_path, text_path, own_path=None):
    """One after the other, so that both see the same machine."""
    run = lambda *command: [json.loads(line) for line in subprocess.run(
        command, check=True, capture_output=True, text=True).stdout.splitlines()]
    [theirs] = run(sys.executable, __file__, "time", tokenizer_path, text_path)
    ours = run(program, "tokenize", own_path or tokenizer_path, text_path)
    load = next(row for row in ours if row["test"] == "load")
    row = next(row for row in ours if row["test"] == "text")
    if row["tokens"] != theirs["tokens"]:
        print(f"{row['tokens']} tokens, theirs {theirs['tokens']}")
    for name, mine in (("load_ms", load), ("encode_ms", row), ("decode_ms", row)):
        print(f"{name[:-3]:8}{mine[name]:9.1f} ms{theirs[name]:9.1f} ms"
              f"{theirs[name] / mine[name]:7.1f} times as fast")


def timed(tokenizer_path, text_path):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer_path)
    sample = pathlib.Path(text_path).read_text()
    ids = tokenizer.encode(sample).ids
    print(json.dumps({
        "load_ms": best(lambda: Tokenizer.from_file(tokenizer_path)),
        "encode_ms": best(lambda: tokenizer.encode(sample)),
        "decode_ms": best(lambda: tokenizer.decode(ids)), "tokens": len(ids)}))


if __name__ == "__main__":
    {"make": make, "pieces": pieces, "words": words, "text": text, "time": timed, "compare": compare}[sys.argv[1]](*sys.argv[2:])
