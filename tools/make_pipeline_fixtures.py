#!/usr/bin/env python3
"""Writes what the reference tokenizer gives for each part of a pipeline.

  make_pipeline_fixtures.py OUT [ASSETS]

Uses the PyPI package of requirements/test-tokenizers.txt. Each kind of
normalizer, pre-tokenizer, post-processor, decoder and model is put into a
small tokenizer, many in pairs; OUT gets NAME.tokenizer.json and NAME.json with
ids, byte offsets, type ids and masks of texts, pairs and batches. The tests
read OUT through SKUA_PIPELINE_FIXTURES.
"""
import json
import pathlib
import random
import sys

from make_tokenizer_fixtures import ALPHABET, CORPUS, NASTY, texts
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre
from tokenizers import processors, trainers

BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
N_RANDOM = 40


def word_piece(normalizer=None, pre_tokenizer=None, **options):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", **options))
    tok.normalizer = normalizer or norm.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizer or pre.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=BERT_SPECIAL, show_progress=False, limit_alphabet=90)
    tok.train_from_iterator(CORPUS, trainer)
    state = json.loads(tok.to_str())
    state["model"].update(options)
    return Tokenizer.from_str(json.dumps(state))


def word_level(normalizer=None, pre_tokenizer=None):
    tok = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tok.normalizer = normalizer or norm.Sequence([])
    tok.pre_tokenizer = pre_tokenizer or pre.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(
        vocab_size=150, special_tokens=BERT_SPECIAL, show_progress=False)
    tok.train_from_iterator(CORPUS, trainer)
    return tok


def char_pieces():
    """Scores for a Unigram model, from the texts' short substrings."""
    counts = {}
    for text in CORPUS:
        for n in range(1, 5):
            for i in range(len(text) - n + 1):
                piece = text[i:i + n].replace(" ", "\u2581")
                counts[piece] = counts.get(piece, 0) + 1
    kept = sorted(counts, key=lambda p: (-counts[p] * len(p), p))[:700]
    return [(p, -10.0 + len(p) * 1.37 - 0.013 * i / len(p)) for i, p in enumerate(kept)]


def unigram(normalizer=None, pre_tokenizer=None, byte_fallback=False, unk=True):
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + char_pieces()
    if byte_fallback:
        vocab += [(f"<0x{b:02X}>", -30.0) for b in range(256)]
    if not unk:
        vocab += [(chr(c), -20.0) for c in range(0x110000)
                  if any(chr(c) in t for t in NASTY + ALPHABET) and chr(c) not in dict(vocab)]
    tok = Tokenizer(models.Unigram(vocab, 2 if unk else None, byte_fallback))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizer or pre.Metaspace()
    tok.decoder = decoders.Metaspace()
    return tok


def bpe(normalizer=None, pre_tokenizer=None, **options):
    tok = Tokenizer(models.BPE(unk_token="<unk>", **options))
    if normalizer:
        tok.normalizer = normalizer
    if pre_tokenizer:
        tok.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
        limit_alphabet=120, **{k: v for k, v in options.items() if k.endswith("fix")})
    tok.train_from_iterator(CORPUS, trainer)
    return tok


def byte_bpe(pre_tokenizer, normalizer=None):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizer
    if normalizer:
        tok.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
        initial_alphabet=pre.ByteLevel.alphabet())
    tok.train_from_iterator(CORPUS, trainer)
    tok.decoder = decoders.ByteLevel()
    return tok


def charsmap(assets):
    for path in sorted(assets.glob("tokenizers/*/tokenizer.json")) if assets else []:
        found = json.loads(path.read_text())["normalizer"]
        for step in (found or {}).get("normalizers", [found or {}]):
            if step.get("type") == "Precompiled":
                return Tokenizer.from_file(str(path)).normalizer
    return None


def normalizers():
    yield "none", None
    yield "nfc", norm.NFC()
    yield "nfd", norm.NFD()
    yield "nfkc", norm.NFKC()
    yield "nfkd", norm.NFKD()
    yield "lower", norm.Lowercase()
    yield "accents", norm.Sequence([norm.NFKD(), norm.StripAccents()])
    yield "strip", norm.Strip()
    yield "nmt", norm.Nmt()
    yield "bytes", norm.ByteLevel()
    yield "prepend", norm.Prepend("\u2581x ")
    yield "replace", norm.Sequence([norm.Replace("a", "\u00e9\u00e9"), norm.Replace(Regex(r"\s+"), ""),
                                    norm.Replace(Regex("(?=b)"), "-")])
    for clean in (False, True):
        for chinese in (False, True):
            for accents in (None, False, True):
                yield f"bert-{clean}-{chinese}-{accents}", norm.BertNormalizer(
                    clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents,
                    lowercase=accents is not True)


def pre_tokenizers():
    yield "none", None
    yield "bert", pre.BertPreTokenizer()
    yield "byte-level", pre.ByteLevel(add_prefix_space=False)
    yield "byte-level-prefix", pre.ByteLevel(add_prefix_space=True)
    yield "byte-level-first", pre.Sequence([
        pre.ByteLevel(add_prefix_space=True, use_regex=False), pre.Digits(True)])
    yield "delimiter", pre.CharDelimiterSplit("a")
    yield "delimiter-wide", pre.CharDelimiterSplit("\u00e9")
    yield "metaspace", pre.Metaspace()
    yield "metaspace-first", pre.Metaspace(prepend_scheme="first")
    yield "metaspace-whole", pre.Metaspace(split=False)
    yield "whitespace", pre.Whitespace()
    yield "whitespace-split", pre.WhitespaceSplit()
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        yield f"punctuation-{behavior}", pre.Punctuation(behavior)
        yield f"split-{behavior}", pre.Split(Regex(r"\s|\p{L}e"), behavior)
    yield "digits", pre.Digits(individual_digits=False)
    yield "scripts", pre.UnicodeScripts()
    yield "length", pre.FixedLength(3)
    yield "length-1", pre.FixedLength(1)
    yield "scripts-metaspace", pre.Sequence([pre.UnicodeScripts(), pre.Metaspace()])
    yield "spaces-digits-length", pre.Sequence([
        pre.WhitespaceSplit(), pre.Digits(individual_digits=True), pre.FixedLength(4)])


def decoder_kinds():
    yield "bpe", decoders.BPEDecoder()
    yield "bpe-e", decoders.BPEDecoder("e")
    yield "word-piece", decoders.WordPiece()
    yield "word-piece-plain", decoders.WordPiece(prefix="t", cleanup=False)
    yield "ctc", decoders.CTC(pad_token="e", word_delimiter_token="a")
    yield "ctc-plain", decoders.CTC(pad_token="th", word_delimiter_token="a", cleanup=False)
    yield "fuse-word-piece", decoders.Sequence([decoders.Fuse(), decoders.WordPiece()])
    yield "fuse-bpe", decoders.Sequence([decoders.Fuse(), decoders.BPEDecoder("e")])
    yield "fuse-ctc", decoders.Sequence([
        decoders.Fuse(), decoders.CTC(pad_token="e", word_delimiter_token="a")])
    yield "ctc-word-piece", decoders.Sequence([
        decoders.CTC(pad_token="e", word_delimiter_token="a"), decoders.WordPiece(prefix="t")])
    yield "word-piece-bpe", decoders.Sequence([decoders.WordPiece(), decoders.BPEDecoder("h")])


def with_parts(tok, **parts):
    for name, part in parts.items():
        setattr(tok, name, part)
    return tok


def made(assets):
    for name, normalizer in normalizers():
        for part, make in (("bpe", bpe), ("word-level", word_level), ("unigram", unigram)):
            yield f"norm-{name}-{part}", make(normalizer=normalizer)
    for name, pre_tokenizer in pre_tokenizers():
        yield f"pre-{name}-bpe", bpe(pre_tokenizer=pre_tokenizer)
        yield f"pre-{name}-unigram", unigram(pre_tokenizer=pre_tokenizer)
        yield f"pre-{name}-nfkc-lower", bpe(
            norm.Sequence([norm.NFKC(), norm.Lowercase()]), pre_tokenizer)
    for name, decoder in decoder_kinds():
        yield f"decode-{name}", with_parts(bpe(pre_tokenizer=pre.Whitespace()), decoder=decoder)
        yield f"decode-{name}-wp", with_parts(word_piece(), decoder=decoder)
    found = charsmap(assets)
    if found:
        for name, rest in (("", []), ("-nmt", [norm.Nmt()]), ("-nfkc", [norm.NFKC()]),
                           ("-strip", [norm.Strip(), norm.Replace(Regex(" {2,}"), " ")])):
            yield f"charsmap{name}", unigram(norm.Sequence([found, *rest]))
            yield f"charsmap{name}-bytes", unigram(norm.Sequence([*rest, found]), byte_fallback=True)
    yield "unigram-bytes", unigram(byte_fallback=True)
    yield "unigram-no-unk", unigram(unk=False)
    yield "unigram-whole", unigram(pre_tokenizer=pre.Metaspace(split=False))
    yield "word-piece", word_piece()
    yield "word-piece-short", word_piece(max_input_chars_per_word=4)
    yield "word-piece-prefix", word_piece(continuing_subword_prefix="@@")
    yield "word-piece-no-prefix", word_piece(continuing_subword_prefix="")
    yield "bpe-affixes", bpe(pre_tokenizer=pre.Whitespace(), continuing_subword_prefix="##",
                             end_of_word_suffix="</w>")
    yield "bpe-fuse", bpe(pre_tokenizer=pre.WhitespaceSplit(), fuse_unk=True)
    yield from limited()


def limited():
    """Post-processors, truncation, padding and flags of added tokens."""
    bert = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    template = processors.TemplateProcessing(
        single="[CLS]:5 $A:7 [SEP]:6", pair="[CLS] $B:2 [SEP]:3 $A:1 [MASK]:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)])
    yield "post-bert", with_parts(word_piece(), post_processor=bert)
    yield "post-template", with_parts(word_piece(), post_processor=template)
    for trim in (False, True):
        for prefix in (False, True):
            roberta = processors.RobertaProcessing(("</s>", 2), ("<s>", 1), trim, prefix)
            level = pre.ByteLevel(add_prefix_space=prefix)
            yield f"post-roberta-{trim}-{prefix}", with_parts(byte_bpe(level), post_processor=roberta)
            plain = processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix)
            yield f"post-byte-{trim}-{prefix}", with_parts(byte_bpe(level), post_processor=plain)
            yield f"post-both-{trim}-{prefix}", with_parts(
                byte_bpe(level), post_processor=processors.Sequence([plain, roberta]))
    for strategy in ("longest_first", "only_first", "only_second"):
        for side in ("left", "right"):
            for length, stride in ((5, 0), (7, 2), (40, 3)):
                tok = with_parts(word_piece(), post_processor=bert)
                tok.enable_truncation(length, stride=stride, strategy=strategy, direction=side)
                yield f"cut-{strategy}-{side}-{length}", tok
    for side in ("left", "right"):
        for n, options in enumerate(({}, {"length": 12}, {"pad_to_multiple_of": 8})):
            tok = with_parts(word_piece(), post_processor=bert)
            tok.enable_truncation(24, stride=2)
            tok.enable_padding(direction=side, pad_id=4, pad_type_id=1, pad_token="[MASK]", **options)
            yield f"pad-{side}-{n}", tok
    for n, normalized in enumerate((False, True)):
        for flags in ({}, {"lstrip": True}, {"rstrip": True}, {"single_word": True},
                      {"lstrip": True, "rstrip": True, "single_word": True}):
            name = "-".join(flags) or "plain"
            tok = byte_bpe(pre.ByteLevel(add_prefix_space=False), norm.Lowercase())
            # With rstrip alone the reference repeats a token of white space.
            spaces = ["  "] if list(flags) != ["rstrip"] else []
            tok.add_tokens([AddedToken(t, normalized=normalized, **flags)
                            for t in ("[TOK]", "Day", "ing", "\u4f60", *spaces)])
            tok.add_special_tokens([AddedToken("<mask>", normalized=normalized, **flags)])
            tok.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
            yield f"added-{n}-{name}", tok


def byte_offsets(text):
    """Of each character, and of the end."""
    ends = [0]
    for char in text:
        ends.append(ends[-1] + len(char.encode()))
    return ends


def flat(encoding, sources, top=True):
    """Without what the reference cannot say in characters, an end that is
    past the text, and what overflows again from parts that overflow."""
    tables = [byte_offsets(text) for text in sources]
    sequence = encoding.sequence_ids
    offsets = []
    for (begin, end), which in zip(encoding.offsets, sequence):
        table = tables[which or 0]
        offsets.append([table[begin], table[end]] if end < len(table) else None)
    return {"ids": encoding.ids, "types": encoding.type_ids, "offsets": offsets,
            "special": encoding.special_tokens_mask, "attention": encoding.attention_mask,
            "tokens": encoding.tokens,
            "overflow": [flat(o, sources, False) for o in encoding.overflowing] if top else []}


def attempt(encode, sources):
    try:
        return flat(encode(), sources)
    except BaseException as error:  # a panic is no Exception
        if "Truncation error" in str(error) or "`stride`" in str(error):
            return None
        raise


def expected(tok, seed):
    """Cases whose result is null are errors."""
    rng = random.Random(seed)
    samples = texts(seed, N_RANDOM)
    singles = [{"text": t, "result": attempt(lambda: tok.encode(t), [t]),
                "plain": attempt(lambda: tok.encode(t, add_special_tokens=False), [t])}
               for t in samples]
    pairs = []
    for _ in range(N_RANDOM):
        first, second = rng.choices(samples, k=2)
        pairs.append({"first": first, "second": second, "result": attempt(
            lambda: tok.encode(first, second), [first, second])})
    batches = []
    for _ in range(4):
        batch = rng.choices(samples, k=3)
        if all(attempt(lambda: tok.encode(t), [t]) for t in batch):
            found = [flat(e, [t]) for e, t in zip(tok.encode_batch(batch), batch)]
            batches.append({"texts": batch, "results": found})
    known = sorted(tok.get_vocab().values())
    lists = [rng.choices(known, k=rng.randint(1, 12)) for _ in range(N_RANDOM)]
    lists += [case["result"]["ids"] for case in singles if case["result"] and case["result"]["ids"]]
    decoded = [{"ids": ids, "text": tok.decode(ids, skip_special_tokens=False)} for ids in lists]
    return {"singles": singles, "pairs": pairs, "batches": batches, "decoded": decoded}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    assets = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    n = 0
    for seed, (name, tok) in enumerate(made(assets)):
        tok.save(str(out / f"{name}.tokenizer.json"), pretty=False)
        tok = Tokenizer.from_file(str(out / f"{name}.tokenizer.json"))
        (out / f"{name}.json").write_text(json.dumps(expected(tok, seed)))
        n += 1
    print(f"{n} tokenizers in {out}")


if __name__ == "__main__":
    main()
