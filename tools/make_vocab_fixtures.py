#!/usr/bin/env python3
"""Writes what sentencepiece, tiktoken and tokenizers give for vocabularies.

  make_vocab_fixtures.py OUT [ASSETS]

Uses the PyPI packages of requirements/test-vocabularies.txt, for the files
under ASSETS and for small models that it trains itself. OUT gets for each a
folder as a model's, or a GGUF file, and NAME.json with its path and the
expected ids. The tests read OUT through SKUA_VOCAB_FIXTURES.
"""
import base64
import io
import json
import pathlib
import re
import struct
import sys

import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as openai_public
from make_tokenizer_fixtures import CORPUS, LLAMA3, texts
from tiktoken.load import load_tiktoken_bpe
from tokenizers import Regex, Tokenizer, decoders, models
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre
from tokenizers import trainers

QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENDINGS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{ENDINGS}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# The patterns of the models' own tokenizer.json, by the names of GGUF files.
PRE_KINDS = {
    "gpt-2": [GPT2],
    "starcoder": [r"\p{N}", GPT2],
    "llama-bpe": [LLAMA3],
    "dbrx": [LLAMA3],
    "qwen35": [LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}").replace(r"]?\p{L}+", r"]?[\p{L}\p{M}]+")
               .replace(r"[^\s\p{L}\p{N}]+[\r", r"[^\s\p{L}\p{M}\p{N}]+[\r")],
    "ufakzeka": [LLAMA3.replace(ENDINGS + "|", "").replace(r"\p{N}{1,3}", r"\p{N}")],
    "minicpm5": [r"\p{N}{1,3}", LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}+")],
    "laguna": [r"[^\n]+|[\n]+", LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")],
    "jais-2": [LLAMA3.removesuffix(r"|\s+(?!\S)|\s+") + "".join(
        rf"|\s{{{n}}}(?!\S)" for n in ("512", "256", "128", "64", "32", "16", "8", "4", "1,2")) + r"|\s{1}"],
    "exaone-moe": [ENDINGS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
                   r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "gpt-4o": [O200K],
    "youtu": ["[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c"
              "\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
              O200K.replace(r"\p{N}{1,3}", r"\p{N}")],
    "deepseek-v3": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3],
    "spark2_5": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                 DEEPSEEK3.replace(r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r"[\p{P}\p{S}]+|[\r\n]"), r"\p{N}"],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
                   r"|\s*[\r\n]|\s+(?!\S)|\s+"],
    "seed-coder": [ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
}
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
        "word": {"model_type": "word"},
        "word-plain": {"model_type": "word", "normalization_rule_name": "identity",
                       "remove_extra_whitespaces": False, "add_dummy_prefix": False},
        "word-suffix": {"model_type": "word", "treat_whitespace_as_suffix": True},
        "char": {"model_type": "char", "character_coverage": 0.98},
        "char-user": {"model_type": "char", "user_defined_symbols": ["[TOK]", "the", "  ", "\u4f60"]},
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


def write(out, name, path, cases, size):
    (out / f"{name}.json").write_text(json.dumps(
        {"path": str(path), "size": size, "cases": cases}))


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


def write_gguf(path, model, tokens, **more):
    """A GGUF file of a vocabulary alone; `more` are further fields."""
    text = lambda t: struct.pack("<Q", len(t.encode())) + t.encode()
    array = lambda kind, items: struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)
    kinds = {"token_type": lambda v: array(5, [struct.pack("<i", t) for t in v]),
             "scores": lambda v: array(6, [struct.pack("<f", t) for t in v]),
             "merges": lambda v: array(8, [text(t) for t in v]),
             "precompiled_charsmap": lambda v: array(0, [bytes([b]) for b in v])}
    fields = {"general.architecture": struct.pack("<I", 8) + text("llama"),
              "tokenizer.ggml.model": struct.pack("<I", 8) + text(model),
              "tokenizer.ggml.tokens": array(8, [text(t) for t in tokens])}
    for name, value in more.items():
        if name in kinds:
            packed = kinds[name](value)
        elif isinstance(value, bool):
            packed = struct.pack("<I?", 7, value)
        elif isinstance(value, int):
            packed = struct.pack("<II", 4, value)
        else:
            packed = struct.pack("<I", 8) + text(value)
        fields[f"tokenizer.ggml.{name}"] = packed
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) +
                     b"".join(text(k) + v for k, v in fields.items()))


def hf_cases(tok, seed, n):
    return [{"text": t, "ids": tok.encode(t, add_special_tokens=False).ids, "decoded": None}
            for t in texts(seed, n)]


def write_pre_kinds(out):
    """One byte-level vocabulary under each pattern."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=900, show_progress=False, initial_alphabet=pre.ByteLevel.alphabet()))
    model = json.loads(tok.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(m) for m in model["merges"]]
    for seed, (name, patterns) in enumerate(PRE_KINDS.items()):
        path = out / f"pre-{name}.gguf"
        write_gguf(path, "gpt2", tokens, pre=name, merges=merges, token_type=[1] * len(tokens))
        tok.pre_tokenizer = pre.Sequence(
            [pre.Split(Regex(p), "isolated") for p in patterns]
            + [pre.ByteLevel(add_prefix_space=False, use_regex=False)])
        # The flags that GGUF's name of the kind stands for.
        state = json.loads(tok.to_str())
        state["model"]["ignore_merges"] = name in ("llama-bpe", "minicpm5", "youtu")
        state["normalizer"] = {"type": "NFC"} if name == "qwen35" else None
        write(out, f"pre-{name}", path, hf_cases(Tokenizer.from_str(json.dumps(state)), seed, 100),
              len(tokens))


def write_unigram(out):
    """The same models as GGUF files of the kind t5."""
    for name, blob in trained():
        if not name.startswith("unigram"):
            continue
        found = sentencepiece.SentencePieceProcessor(model_proto=blob)
        n = found.get_piece_size()
        kind = lambda i: (2 if found.is_unknown(i) else 3 if found.is_control(i) else
                          6 if found.is_byte(i) else 5 if found.is_unused(i) else
                          4 if found.id_to_piece(i) in ("[TOK]", "the", "ing") and "user" in name else 1)
        plain = name in ("unigram-plain",)
        path = out / f"t5-{name}.gguf"
        write_gguf(path, "t5", [found.id_to_piece(i) for i in range(n)],
                   scores=[found.get_score(i) for i in range(n)], token_type=[kind(i) for i in range(n)],
                   unknown_token_id=found.unk_id(), eos_token_id=found.eos_id(),
                   add_space_prefix=not plain, remove_extra_whitespaces=name != "unigram-nfkc",
                   **({"precompiled_charsmap": charsmap_of(blob)} if not plain else {}))
        cases = [{**piece_case(found, t), "decoded": None} for t in texts(5, 100) if is_plain(t)]
        write(out, f"t5-{name}", path, cases, n)


def charsmap_of(blob):
    """Field 2 of field 3 of the protobuf message."""
    def fields(message):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = message[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(message):
            tag = varint()
            if tag & 7 == 0:
                yield tag >> 3, varint()
                continue
            size = varint() if tag & 7 == 2 else {1: 8, 5: 4}[tag & 7]
            yield tag >> 3, message[at:at + size]
            at += size
    normalizer = dict(fields(blob))[3]
    return dict(fields(normalizer))[2]


def write_longest(out):
    """RWKV's kind: the longest token first, over bytes."""
    tokens = {bytes([b]) for b in range(256)}
    for text in CORPUS:
        raw = text.encode()
        for n in (2, 3, 4, 7):
            tokens |= {raw[i:i + n] for i in range(0, len(raw) - n, 5)}
    ordered = sorted(tokens)
    longest = max(map(len, ordered))
    ids = {t: i + 1 for i, t in enumerate(ordered)}

    def encode(text):
        raw, at, found = text.encode(), 0, []
        while at < len(raw):
            size = next(n for n in range(longest, 0, -1) if raw[at:at + n] in ids)
            found.append(ids[raw[at:at + size]])
            at += size
        return found
    path = out / "rwkv.gguf"
    # As Python writes bytes, which is what the converter does.
    written = ["<s>"] + [repr(t)[2:-1] for t in ordered]
    write_gguf(path, "rwkv", written, token_type=[3] + [1] * len(ordered))
    cases = [{"text": t, "ids": encode(t), "decoded": t} for t in texts(9, N_RANDOM)]
    write(out, "rwkv", path, cases, len(ordered) + 1)


def write_plamo2(out):
    """PLaMo 2's kind: the cheapest tokens from the end, else bytes."""
    scores = {}
    for text in CORPUS:
        for n in (1, 2, 3, 5, 9):
            for i in range(0, len(text) - n, 3):
                # Not so many scores that sums are never equal; of some
                # characters alone bytes are cheaper.
                part = text[i:i + n]
                scores[part] = -1001.0 if part in "xQ\u00df" else -1.0 - (sum(map(ord, part)) % 7) / 2
    known = ["<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>"] + [f"<0x{b:02X}>" for b in range(256)]
    tokens = known + sorted(scores)
    ids = {t: i for i, t in enumerate(tokens)}
    longest = max(map(len, scores))

    def encode(text):
        text = text.removeprefix("\ufeff")
        best = {len(text): (0, None, None)}
        for at in range(len(text) - 1, -1, -1):
            ways = [(best[at + n][0] + round(-scores[text[at:at + n]] * 1e4), -n)
                    for n in range(1, min(longest, len(text) - at) + 1) if text[at:at + n] in scores]
            cost, n = min([*ways, (best[at + 1][0] + 10**7, 0)])
            best[at] = (cost, max(-n, 1), n != 0)
        found, at = [], 0
        while at < len(text):
            _, n, is_token = best[at]
            part = text[at:at + n]
            found += [ids[part]] if is_token else [ids[f"<0x{b:02X}>"] for b in part.encode()]
            at += n
        return found
    path = out / "plamo2.gguf"
    write_gguf(path, "plamo2", tokens, scores=[scores.get(t, 0.0) for t in tokens],
               token_type=[2, 3, 3] + [6] * 256 + [1] * len(scores))
    cases = [{"text": t, "ids": encode(t), "decoded": t.removeprefix("\ufeff")} for t in texts(11, N_RANDOM)]
    write(out, "plamo2", path, cases, len(tokens))


def write_marked(out):
    """Gemma 4's kind: merges over text whose spaces are marked."""
    tok = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, ignore_merges=True))
    tok.normalizer = norm.Replace(" ", "\u2581")
    tok.pre_tokenizer = pre.Split(Regex(r"[^\n]+|[\n]+"), "isolated")
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=900, show_progress=False, limit_alphabet=60,
        special_tokens=[f"<0x{b:02X}>" for b in range(256)]))
    state = json.loads(tok.to_str())
    state["added_tokens"] = []
    tok = Tokenizer.from_str(json.dumps(state))
    model = state["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    path = out / "gemma4.gguf"
    write_gguf(path, "gemma4", tokens, merges=[" ".join(m) for m in model["merges"]],
               token_type=[6 if re.fullmatch("<0x..>", t) else 1 for t in tokens])
    write(out, "gemma4", path, hf_cases(tok, 3, 100), len(tokens))


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    write_pre_kinds(out)
    write_unigram(out)
    write_longest(out)
    write_plamo2(out)
    write_marked(out)
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
