#!/usr/bin/env python3
"""Writes token ids and decoded texts of the reference tokenizer.

  make_tokenizer_fixtures.py OUT [ASSETS]

Uses the PyPI package of requirements/test-tokenizers.txt. For the
tokenizer.json files under ASSETS and for small ones that it trains itself,
so that every option is covered, OUT gets NAME.json with the expected results
and, for the trained ones, NAME.tokenizer.json. The tests read OUT through
SKUA_TOKENIZER_FIXTURES. From rank files (tiktoken) under ASSETS it builds
the GGUF vocabularies for which only texts and ids are there.
"""
import base64
import json
import pathlib
import random
import struct
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre
from tokenizers import processors, trainers

NASTY = [
    "", " ", "  ", "   a", "a ", " a  b   c ", "\n", "\n\n\n", "\r\n", "\t\t",
    "a\n b\n\n  c\t d", "Hello, world! 123 4567", "don't DON'T I'LL we've",
    "x" * 300, " " * 300, "\n" * 50, "1234567890" * 5, "\u0000a\u0001\u007f",
    "caf\u00e9 cafe\u0301 \u00c5\u212b \ufb01 \u2460 \u0130I\u0131",
    "\u3053\u3093\u306b\u3061\u306f \u4f60\u597d \uc548\ub155\ud558\uc138\uc694",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",
    "a\u0300\u0301\u0302b", "\u2581x \u2581\u2581 y\u2581", "<0x41> <0xZZ> <unk>",
    "<s>hi</s> <s> hi </s>", "\u00a0\u2003\u3000\u200b\u2028x", "\ufeffbom",
    "foo<mask>bar <mask> baz", "I like [TOK] and [TOK]s x[TOK]", "half\u00bd \u2167 \u0663\u0664",
    "a_b-c.d,e;f:g!h?i(j)k[l]m{n}o", "UPPER lower MiXeD \u01c5 \u00df \u1e9e",
    "\U00010400\U0001d400\U0002070e \u10d0\u1c90", "don\u2019t \u201cq\u201d \u2014 \u2026",
    "Day day DAY yesterday Yesterday", "((((((((", "!?!?!?\n\n!!", "  \n  \n", "a\u0085b\u180ec",
]
ALPHABET = list("abcdefghijklmnop ABCDE 0123 .,!?'\"-_()\n\t  \r") + [
    "the ", " and", "ing", "'s", "\u00e9", "\u0301", "\u00df", "\u4f60", "\u597d", "\u3042", "\uc548",
    "\U0001f600", "\u200d", "\u2581", "\u0130", "\u00bd", "\u0663", "\u00a0", "\u2003", "\u180e", "\u0000",
    "\ufffd", "\u0915\u094d", "\u2167", "\u24b6", "\u203f", "\u2019", "<s>", "</s>", "<unk>", "[TOK]",
    "<mask>", "<|endoftext|>", "Day", "\ufb01", "\U00010400", "\u1e9e", "\u05d0", "\u0e01", "<0x41>",
]
CORPUS = NASTY + [
    "The quick brown fox jumps over the lazy dog. " * 3,
    "In the beginning was the word, and the word was with the others.",
    "def main(args):\n    return [x ** 2 for x in range(10) if x % 2]\n",
    "Fatouville-Grestain est une commune du Nord-Ouest du d\u00e9partement de l'Eure.",
    "Don't you think that's the thing they're doing? I'd say we'll see.",
] * 2


def texts(seed, n):
    rng = random.Random(seed)
    made = list(NASTY)
    for _ in range(n):
        made.append("".join(rng.choices(ALPHABET, k=rng.randint(1, 40))))
    return made


def bpe(**options):
    """A BPE model with the chosen pipeline, trained on CORPUS."""
    model = {k: v for k, v in options.items()
             if k in ("unk_token", "fuse_unk", "byte_fallback", "continuing_subword_prefix",
                      "end_of_word_suffix")}
    tok = Tokenizer(models.BPE(**model))
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        if part in options and part != "post_processor":
            setattr(tok, part, options[part])
    special = ["<unk>", "<s>", "</s>"]
    if options.get("byte_fallback"):
        special += [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=options.get("vocab_size", 700), special_tokens=special, show_progress=False,
        initial_alphabet=options.get("initial_alphabet", []),
        limit_alphabet=options.get("limit_alphabet", 1000),
        **{k: v for k, v in model.items() if k.endswith("fix")})
    tok.train_from_iterator(CORPUS, trainer)
    if "post_processor" in options:
        tok.post_processor = options["post_processor"]
    tok.add_tokens(options.get("tokens", []))
    tok.add_special_tokens(options.get("special", []))
    return tok


def spm(**options):
    """SentencePiece-style: marks for spaces, byte fallback."""
    strip = options.pop("strip", True)
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    if strip:
        steps.append(decoders.Strip(" ", 1, 0))
    return bpe(unk_token="<unk>", fuse_unk=True, byte_fallback=True, limit_alphabet=60,
               decoder=decoders.Sequence(steps), vocab_size=600, **options)


def byte_level(pre_tokenizer, **options):
    return bpe(pre_tokenizer=pre_tokenizer, decoder=decoders.ByteLevel(),
               initial_alphabet=pre.ByteLevel.alphabet(), **options)


def bos_eos():
    return processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def trained():
    isolated = lambda p: pre.Split(Regex(p), "isolated")
    marks = norm.Sequence([norm.Prepend("\u2581"), norm.Replace(" ", "\u2581")])
    tok = AddedToken
    yield "gpt2", byte_level(pre.ByteLevel(add_prefix_space=False))
    yield "gpt2-prefix", byte_level(pre.ByteLevel(add_prefix_space=True), post_processor=bos_eos())
    yield "roberta", byte_level(
        pre.ByteLevel(add_prefix_space=True),
        post_processor=processors.RobertaProcessing(("</s>", 2), ("<s>", 1)),
        special=[tok("<mask>", lstrip=True, normalized=False)])
    yield "bert-template", byte_level(
        pre.ByteLevel(), post_processor=processors.Sequence([
            processors.ByteLevel(), processors.BertProcessing(("</s>", 2), ("<s>", 1))]))
    yield "llama3", byte_level(
        pre.Sequence([isolated(LLAMA3), pre.ByteLevel(add_prefix_space=False, use_regex=False)]),
        special=["<|endoftext|>"])
    yield "o200k-nfc", byte_level(
        pre.Sequence([isolated(O200K), pre.ByteLevel(add_prefix_space=False, use_regex=False)]),
        normalizer=norm.NFC(), special=["<|endoftext|>"])
    yield "digits", byte_level(pre.Sequence([
        pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]))
    yield "digits-contiguous", byte_level(pre.Sequence([
        pre.Digits(individual_digits=False), pre.ByteLevel(add_prefix_space=False)]))
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            yield f"split-{behavior}-{invert}", byte_level(pre.Sequence([
                pre.Split(Regex(r"\w+|\s"), behavior, invert=invert),
                pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
        yield f"split-string-{behavior}", byte_level(pre.Sequence([
            pre.Split("a.", behavior), pre.Split(" ", behavior),
            pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
        yield f"punctuation-{behavior}", byte_level(pre.Sequence([
            pre.Punctuation(behavior), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "regex-syntax", byte_level(pre.Sequence([
        isolated(r"\bthe\b|\W+|\h{2}|[\s\d]+|\p{Han}+|\p{^L}|\S"),
        pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "regex-lines", byte_level(pre.Sequence([
        isolated(r"^.|.$|(?<=a)b"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "regex-empty", byte_level(pre.Sequence([
        isolated(r"(?=(\d{3})+(?!\d))"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "whitespace", bpe(unk_token="<unk>", pre_tokenizer=pre.Whitespace())
    yield "whitespace-split", bpe(
        unk_token="<unk>", fuse_unk=True, limit_alphabet=50, pre_tokenizer=pre.WhitespaceSplit(),
        normalizer=norm.Sequence([norm.NFD(), norm.StripAccents(), norm.Lowercase()]))
    yield "no-fuse", bpe(unk_token="<unk>", limit_alphabet=20, pre_tokenizer=pre.WhitespaceSplit())
    yield "no-unk", bpe(limit_alphabet=30, normalizer=norm.Strip(left=True, right=True))
    yield "strip-left", bpe(limit_alphabet=300, normalizer=norm.Strip(left=True, right=False))
    yield "strip-right", bpe(limit_alphabet=300, normalizer=norm.Strip(left=False, right=True))
    yield "affixes", bpe(
        unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>",
        pre_tokenizer=pre.Whitespace(), normalizer=norm.NFKC())
    yield "nfkd", bpe(unk_token="<unk>", normalizer=norm.NFKD(), pre_tokenizer=pre.Whitespace())
    yield "spm", spm(normalizer=marks, post_processor=bos_eos(), tokens=[tok("[TOK]", rstrip=True)])
    yield "spm-no-prefix", spm(normalizer=norm.Replace(" ", "\u2581"), strip=False)
    yield "spm-regex-replace", spm(
        normalizer=norm.Sequence([norm.Replace(Regex(r"\s+"), " "), norm.Replace(" ", "\u2581")]),
        special=[tok("<mask>", lstrip=True, rstrip=True)])
    for scheme in ("first", "never", "always"):
        for split in (False, True):
            yield f"metaspace-{scheme}-{split}", bpe(
                unk_token="<unk>", pre_tokenizer=pre.Metaspace(prepend_scheme=scheme, split=split),
                decoder=decoders.Metaspace(prepend_scheme=scheme), special=["<|endoftext|>", "<mask>"])
    yield "metaspace-behind-split", bpe(
        unk_token="<unk>", decoder=decoders.Metaspace(),
        pre_tokenizer=pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace(prepend_scheme="first")]))
    yield "added", byte_level(
        pre.ByteLevel(add_prefix_space=False), normalizer=norm.Lowercase(),
        tokens=[tok("[TOK]", single_word=True, normalized=False), tok("Day", normalized=True),
                tok(" and", normalized=False), tok("ing", single_word=True, normalized=True),
                tok("inging", normalized=False), tok("  ", normalized=False)],
        special=[tok("<mask>", lstrip=True, rstrip=True), tok("<mask><mask>", normalized=False)])
    yield "added-strip", bpe(
        unk_token="<unk>", pre_tokenizer=pre.Whitespace(),
        tokens=[tok("a", lstrip=True, normalized=False), tok("b", rstrip=True, normalized=False),
                tok("e", single_word=True, lstrip=True, rstrip=True)])
    yield "decoder-mix", bpe(
        unk_token="<unk>", byte_fallback=True, limit_alphabet=40, vocab_size=600,
        decoder=decoders.Sequence([
            decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse(),
            decoders.Replace(Regex(r"\s+"), "_"), decoders.Strip("_", 2, 0)]))
    yield "decoder-strip", bpe(
        unk_token="<unk>", decoder=decoders.Sequence([
            decoders.Strip("a", 1, 0), decoders.Replace("e", "EE"), decoders.Fuse()]))
    plain = byte_level(pre.ByteLevel(add_prefix_space=False))
    state = json.loads(plain.to_str())
    state["model"]["ignore_merges"] = True
    # Drops merges so that whole words are reached by ignore_merges alone.
    kept = state["model"]["merges"][: len(state["model"]["merges"]) // 2]
    state["model"]["merges"] = [" ".join(pair) for pair in kept]
    yield "ignore-merges", Tokenizer.from_str(json.dumps(state))


def expected(tok, seed, n):
    rng = random.Random(seed)
    cases = []
    for text in texts(seed, n):
        tok.encode_special_tokens = False
        ids = tok.encode(text, add_special_tokens=False).ids
        case = {"text": text, "ids": ids, "with_special": tok.encode(text).ids}
        tok.encode_special_tokens = True
        case["as_text"] = tok.encode(text, add_special_tokens=False).ids
        cases.append(case)
    tok.encode_special_tokens = False
    known = sorted(tok.get_vocab(with_added_tokens=True).values())
    lists = [case["with_special"] for case in cases]
    lists += [rng.choices(known, k=rng.randint(1, 12)) for _ in range(n)]
    # Vocabularies with byte tokens: runs of them, mostly broken text.
    low = known[:300]
    lists += [rng.choices(low, k=rng.randint(1, 8)) for _ in range(n)]
    return {"cases": cases, "decoded": [
        {"ids": ids, "text": tok.decode(ids, skip_special_tokens=False),
         "skipped": tok.decode(ids, skip_special_tokens=True)} for ids in lists]}


def merges_of(ranks):
    """All merges that give a token of a rank file, by its rank."""
    for token in sorted(ranks, key=ranks.get):
        pairs = [(token[:i], token[i:]) for i in range(1, len(token))]
        pairs = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        yield from sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))


def write_gguf(path, rank_file, pre_kind, special, bos=None):
    ranks = {}
    for line in rank_file.read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    keep = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    chars = {b: chr(b) for b in keep}
    chars.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in chars)})
    spell = lambda token: "".join(chars[b] for b in token)
    tokens = [spell(t) for t in sorted(ranks, key=ranks.get)] + special
    types = [1] * len(ranks) + [3] * len(special)
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    array = lambda kind, items: struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)
    fields = {
        "general.architecture": struct.pack("<I", 8) + text("llama"),
        "tokenizer.ggml.model": struct.pack("<I", 8) + text("gpt2"),
        "tokenizer.ggml.pre": struct.pack("<I", 8) + text(pre_kind),
        "tokenizer.ggml.tokens": array(8, [text(t) for t in tokens]),
        "tokenizer.ggml.token_type": array(5, [struct.pack("<i", t) for t in types]),
        "tokenizer.ggml.merges": array(8, [text(spell(a) + " " + spell(b)) for a, b in merges_of(ranks)]),
    }
    if bos:
        fields["tokenizer.ggml.bos_token_id"] = struct.pack("<II", 4, tokens.index(bos))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) +
                     b"".join(text(k) + v for k, v in fields.items()))


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for name, tok in trained():
        path = out / f"{name}.tokenizer.json"
        tok.save(str(path))
        made.append((name, path, Tokenizer.from_file(str(path)), 60))
    if len(sys.argv) > 2:
        assets = pathlib.Path(sys.argv[2]).resolve()
        for path in [assets / "lm/stories260K/hf/tokenizer.json"] + sorted(
                assets.glob("tokenizers/*/tokenizer.json")):
            state = json.loads(path.read_text())
            # The reference refuses it (its merges are no list) and would
            # count its added tokens anew, which leave a hole; see the tests.
            if path.parent.name != "added-tokens":
                made.append((f"asset-{path.parent.name}", path, Tokenizer.from_file(str(path)), 200))
        write_gguf(out / "ggml-vocab-llama-bpe.gguf", assets / "tokenizers/llama3/llama3_tokenizer.model",
                   "llama-bpe", ["<|begin_of_text|>", "<|end_of_text|>"], "<|begin_of_text|>")
        write_gguf(out / "ggml-vocab-qwen2.gguf", assets / "tokenizers/qwen/qwen.tiktoken",
                   "qwen2", ["<|endoftext|>"])
    for seed, (name, path, tok, n) in enumerate(made):
        tok.no_truncation()
        tok.no_padding()
        text = json.dumps({"tokenizer": str(path), **expected(tok, seed, n)})
        (out / f"{name}.json").write_text(text)
    print(f"{len(made)} tokenizers in {out}")


if __name__ == "__main__":
    main()
