# SPDX-License-Identifier: MIT
"""Byte-level BPE: the splitting of texts that the family uses, a trainer, an encoder.

A text is split at special tokens, then into pre-tokens; each pre-token is merged from its bytes.
"""
import json
import re
import unicodedata
from collections import Counter, defaultdict
from functools import lru_cache
from typing import Any, Iterable

# Special tokens in the order of their ids; those that are True are hidden from output.
SPECIAL = {"<|endoftext|>": True, "<|im_start|>": True, "<|im_end|>": True,
           "<tool_call>": False, "</tool_call>": False, "<tool_response>": False,
           "</tool_response>": False, "<think>": False, "</think>": False}

# The expression as tokenizer.json spells it. Python's re has no \p, so it is applied to the
# classes of the characters below.
EXPRESSION = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
              r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

CONTRACTION = re.compile(r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])")
# Classes: L letter, M mark, N number, B blank, R line break, S other white space, O the rest.
RULES = re.compile(r"[^RLN]?[LM]+|N|B?O+R*|[SBR]*R|[SBR]+(?![^SBR])|[SBR]+")
SPACES = {0x09, 0x0B, 0x0C, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000,
          *range(0x2000, 0x200B)}


@lru_cache(maxsize=None)
def class_of(character: str) -> str:
    """The class of a character, as RULES names it."""
    if character in "\r\n":
        return "R"
    if character == " ":
        return "B"
    if ord(character) in SPACES:
        return "S"
    category = unicodedata.category(character)[0]
    return category if category in "LMN" else "O"


def pretokens(text: str) -> list[str]:
    """Splits a text without special tokens."""
    classes = "".join(map(class_of, text))
    pieces, i = [], 0
    while i < len(text):
        match = text[i] == "'" and CONTRACTION.match(text, i) or RULES.match(classes, i)
        pieces.append(text[i:match.end()])
        i = match.end()
    return pieces


def spelling_of_bytes() -> list[str]:
    """How vocabularies write each byte: as itself if that can be printed, else from U+0100 on."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


SPELLING = spelling_of_bytes()


def spelled(data: bytes) -> str:
    """Bytes as vocabularies write them."""
    return "".join(SPELLING[byte] for byte in data)


def byte_order() -> list[int]:
    """Bytes in the order of their ids: those that stand for themselves first."""
    return sorted(range(256), key=lambda byte: (ord(SPELLING[byte]) >= 0x100, ord(SPELLING[byte])))


SPLITTER = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")

Pair = tuple[bytes, bytes]


class Bpe:
    """A vocabulary: 256 bytes, one token for each merge, the special tokens."""

    def __init__(self, merges: list[Pair]) -> None:
        self.merges = merges
        self.tokens = [bytes([byte]) for byte in byte_order()] + [a + b for a, b in merges]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.special = {text: len(self.tokens) + i for i, text in enumerate(SPECIAL)}
        self.names = {i: text for text, i in self.special.items()}
        self.known: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.tokens) + len(self.special)

    def merge(self, piece: str) -> list[int]:
        """The ids of a pre-token: the pair of the lowest rank is merged until none is left."""
        parts = [bytes([byte]) for byte in piece.encode()]
        while len(parts) > 1:
            ranks = [self.ranks.get(pair, len(self.ranks)) for pair in zip(parts, parts[1:])]
            i = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[i] == len(self.ranks):
                break
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.ids[part] for part in parts]

    def encode(self, text: str) -> list[int]:
        """The ids of a text; special tokens in it are recognised."""
        ids: list[int] = []
        for part in SPLITTER.split(text):
            if part in self.special:
                ids.append(self.special[part])
                continue
            for piece in pretokens(part):
                if piece not in self.known:
                    self.known[piece] = self.merge(piece)
                ids += self.known[piece]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special tokens included."""
        data = b"".join(self.names[i].encode() if i in self.names else self.tokens[i]
                        for i in ids)
        return data.decode(errors="replace")

    def json(self) -> dict[str, Any]:
        """What tokenizer.json holds."""
        added = [{"id": i, "content": text, "single_word": False, "lstrip": False,
                  "rstrip": False, "normalized": False, "special": SPECIAL[text]}
                 for text, i in self.special.items()]
        split = {"type": "Split", "pattern": {"Regex": EXPRESSION}, "behavior": "Isolated",
                 "invert": False}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                 "use_regex": False}
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
            "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {spelled(token): i for i, token in enumerate(self.tokens)},
                      "merges": [f"{spelled(a)} {spelled(b)}" for a, b in self.merges]},
        }


def from_spelled(merges: Iterable[Iterable[str]]) -> Bpe:
    """The vocabulary of merges as files have them."""
    byte_of = {text: byte for byte, text in enumerate(SPELLING)}

    def plain(text: str) -> bytes:
        return bytes(byte_of[character] for character in text)

    return Bpe([(plain(a), plain(b)) for a, b in merges])


def load(path: str) -> Bpe:
    """The vocabulary of a tokenizer.json that this module wrote."""
    with open(path, encoding="utf-8") as file:
        merges = json.load(file)["model"]["merges"]
    return from_spelled(merge.split(" ") for merge in merges)


def train(texts: Iterable[str], size: int) -> Bpe:
    """Learns merges until there are `size` tokens: the most frequent pair first, of equally
    frequent ones the first in the order of bytes, so that the result depends on the texts alone."""
    counts: Counter[str] = Counter()
    for text in texts:
        for part in SPLITTER.split(text):
            if part not in SPECIAL:
                counts.update(pretokens(part))
    pieces = [[bytes([byte]) for byte in piece.encode()] for piece in counts]
    weights = list(counts.values())
    pair_counts: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)

    def tally(index: int, sign: int) -> None:
        for pair in zip(pieces[index], pieces[index][1:]):
            pair_counts[pair] += sign * weights[index]
            holders[pair].add(index)

    for index in range(len(pieces)):
        tally(index, 1)
    merges: list[Pair] = []
    while 256 + len(merges) + len(SPECIAL) < size:
        best = min(pair_counts, key=lambda pair: (-pair_counts[pair], pair))
        merges.append(best)
        for index in sorted(holders.pop(best)):
            tally(index, -1)
            pieces[index] = merged(pieces[index], best)
            tally(index, 1)
        del pair_counts[best]
    return Bpe(merges)


def merged(parts: list[bytes], pair: Pair) -> list[bytes]:
    """The parts with each occurrence of the pair made one."""
    result: list[bytes] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result
