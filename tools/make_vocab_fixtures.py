#!/usr/bin/env python3
"""Writes what sentencepiece and tiktoken give for their own files.

  make_vocab_fixtures.py OUT [ASSETS]

Uses the PyPI packages of requirements/test-vocabularies.txt, for the files
under ASSETS and for small models that it trains itself. OUT gets for each a
folder as a model's, and NAME.json with its path and the expected ids. The
tests read OUT through SKUA_VOCAB_FIXTURES.
"""
import base64
import io
import json
import pathlib
import sys

import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as openai_public
from make_tokenizer_fixtures import CORPUS, LLAMA3, texts
from tiktoken.load import load_tiktoken_bpe

QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
N_RANDOM = 300
N_TEKKEN_SPECIAL = 100


def trained():
    # One sentence a line, and no NUL: the trainer takes neither.
    lines = [line for text in CORPUS * 3 for line in text.replace("\0", "").splitlines() if line]
    options = {
        "bpe": {"model_type": "bpe"},
        "bpe-bytes": {"model_type": "bpe", "byte_fallback": True, "character_coverage": 0.98},
        "bpe-identity": {"model_type": "bpe", "normalization_rule_name": "identity",
                         "remove_extra_whitespaces": False, "add_dummy_prefix": False},
        "bpe-user": {"model_type": "bpe", "user_defined_symbols": ["[TOK]", "the", "  ", "\u4f60"],
                     "byte_fallback": True},
        "bpe-suffix": {"model_type": "bpe", "treat_whitespace_as_suffix": True},
        "unigram": {"model_type": "unigram"},
        "unigram-bytes": {"model_type": "unigram", "byte_fallback": True, "character_coverage": 0.98},
        "unigram-nfkc-cf": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc_cf"},
        "unigram-nfkc": {"model_type": "unigram", "normalization_rule_name": "nfkc",
                         "remove_extra_whitespaces": False},
        "unigram-user": {"model_type": "unigram", "user_defined_symbols": ["[TOK]", "the", "ing"]},
        "unigram-plain": {"model_type": "unigram", "normalization_rule_name": "identity",
                          "add_dummy_prefix": False},
    }
    for name, chosen in options.items():
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=written, vocab_size=600,
            hard_vocab_limit=False, minloglevel=2, **chosen)
        yield name, written.getvalue()


def is_plain(text):
    """Whether a part of the package written in C takes it as it is."""
    return "\0" not in text


def piece_case(model, text):
    ids = model.encode(text)
    known = model.unk_id() not in ids
    return {"text": text, "ids": ids, "decoded": model.decode(ids) if known else None}


def write_pieces(out, name, blob, n):
    folder = out / name
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.model").write_bytes(blob)
    model = sentencepiece.SentencePieceProcessor(model_proto=blob)
    cases = [piece_case(model, t) for t in texts(n, N_RANDOM) if is_plain(t)]
    write(out, name, folder, cases, model.get_piece_size())


def write(out, name, folder, cases, size):
    (out / f"{name}.json").write_text(json.dumps(
        {"folder": str(folder), "size": size, "cases": cases}))


def ranked_cases(encoding, seed, first_id=0, normalize=lambda t: t):
    cases = []
    for text in texts(seed, N_RANDOM):
        ids = encoding.encode_ordinary(normalize(text))
        cases.append({"text": text, "ids": [i + first_id for i in ids],
                      "decoded": encoding.decode(ids)})
    return cases


def nfc(text):
    import unicodedata
    return unicodedata.normalize("NFC", text)


def write_ranked(out, assets, n):
    def load(path):
        return load_tiktoken_bpe(str(path))

    def add(name, path, pattern, normalize=lambda t: t, file_name=None, n_ranks=None):
        ranks = {t: r for t, r in load(path).items() if n_ranks is None or r < n_ranks}
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        folder = out / name
        folder.mkdir(exist_ok=True)
        lines = path.read_bytes().splitlines(keepends=True)
        (folder / (file_name or path.name)).write_bytes(b"".join(lines[:n_ranks]))
        write(out, name, folder, ranked_cases(encoding, n + len(name), normalize=normalize), None)

    def pattern_of(constructor):
        """The package's own, without a download of the ranks."""
        known = openai_public.load_tiktoken_bpe
        known_gpt2 = openai_public.data_gym_to_mergeable_bpe_ranks
        openai_public.load_tiktoken_bpe = lambda *args, **options: {}
        openai_public.data_gym_to_mergeable_bpe_ranks = lambda *args, **options: {}
        try:
            return constructor()["pat_str"]
        finally:
            openai_public.load_tiktoken_bpe = known
            openai_public.data_gym_to_mergeable_bpe_ranks = known_gpt2

    tokenizers = assets / "tokenizers"
    add("qwen", tokenizers / "qwen/qwen.tiktoken", QWEN, nfc)
    add("llama3", tokenizers / "llama3/llama3_tokenizer.model", LLAMA3, file_name="tokenizer.model")
    add("o200k", tokenizers / "o200k_base.tiktoken", pattern_of(openai_public.o200k_base))
    add("gpt2", tokenizers / "whisper/gpt2.tiktoken", pattern_of(openai_public.gpt2))
    add("whisper", tokenizers / "whisper/multilingual.tiktoken", pattern_of(openai_public.gpt2))
    # Qwen's ranks go on from these.
    add("cl100k", tokenizers / "qwen/qwen.tiktoken", pattern_of(openai_public.cl100k_base),
        file_name="cl100k_base.tiktoken", n_ranks=100256)
    write_tekken(out, load(tokenizers / "o200k_base.tiktoken"), n)


def write_tekken(out, ranks, n):
    """No file of this kind is at hand: one from other ranks."""
    kept = sorted(ranks, key=ranks.get)[:20000]
    listed = kept + [b"never used"]
    folder = out / "tekken"
    folder.mkdir(exist_ok=True)
    (folder / "tekken.json").write_text(json.dumps({
        "config": {"pattern": TEKKEN, "num_vocab_tokens": len(listed),
                   "default_vocab_size": len(kept) + N_TEKKEN_SPECIAL,
                   "default_num_special_tokens": N_TEKKEN_SPECIAL, "version": "v3"},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None}
                  for i, t in enumerate(listed)]}))
    encoding = tiktoken.Encoding("tekken", pat_str=TEKKEN, special_tokens={},
                                 mergeable_ranks={t: i for i, t in enumerate(kept)})
    cases = ranked_cases(encoding, n, first_id=N_TEKKEN_SPECIAL)
    write(out, "tekken", folder, cases, len(kept) + N_TEKKEN_SPECIAL)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    for n, (name, blob) in enumerate(trained()):
        write_pieces(out, name, blob, n)
    if len(sys.argv) > 2:
        assets = pathlib.Path(sys.argv[2]).resolve()
        for name in ("llama3/llama2_sentencepiece.model",
                     "mistral_instruct_tokenizer_240323.model.v3"):
            path = assets / "tokenizers" / name
            write_pieces(out, path.stem.split(".")[0], path.read_bytes(), n := n + 1)
        path = assets / "lm/stories260K/hf/tokenizer.model"
        write_pieces(out, "stories260K", path.read_bytes(), n := n + 1)
        write_ranked(out, assets, n)
    print(f"{len(list(out.glob('*.json')))} vocabularies in {out}")


if __name__ == "__main__":
    main()
