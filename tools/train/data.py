# SPDX-License-Identifier: MIT
"""Rows of tokens to train on: documents one behind the other, cut at the end of the row."""
from dataclasses import dataclass

import torch
from torch import Tensor

import bpe
import grammar

IGNORED = -100  # the target of a token behind which another document begins


@dataclass
class Rows:
    """Tokens [1, T], what follows each, and the number of the document that each belongs to."""
    tokens: Tensor
    targets: Tensor
    documents: Tensor


def pack(documents: list[list[int]], length: int) -> tuple[list[int], list[int]]:
    """The first length + 1 tokens of the documents, and their numbers."""
    tokens = [token for document in documents for token in document]
    owners = [i for i, document in enumerate(documents) for _ in document]
    return tokens[:length + 1], owners[:length + 1]


def rows_of(tokens: list[int], owners: list[int]) -> Rows:
    """Tensors of one packed row."""
    ids, owner = torch.tensor([tokens]), torch.tensor([owners])
    targets = ids[:, 1:].masked_fill(owner[:, 1:] != owner[:, :-1], IGNORED)
    return Rows(ids[:, :-1].contiguous(), targets, owner[:, :-1].contiguous())


class Source:
    """Takes documents from a number on; `number` is all that is to be saved."""

    def __init__(self, vocabulary: bpe.Bpe, seed: int, number: int = 0) -> None:
        self.vocabulary = vocabulary
        self.seed = seed
        self.number = number
        self.end = vocabulary.special[grammar.END]

    def next(self, long: bool = False) -> list[int]:
        """The ids of the next document, with its end."""
        make = grammar.long_document if long else grammar.document
        _, text = make(self.seed, self.number)
        self.number += 1
        return self.vocabulary.encode(text) + [self.end]

    def row(self, length: int, long: bool = False) -> Rows:
        """Documents that fill a row; `long` puts one first that needs most of it."""
        documents = [self.next(True)] if long else []
        while sum(map(len, documents)) <= length:
            documents.append(self.next())
        return rows_of(*pack(documents, length))


@dataclass
class HeldOut:
    """Documents of one kind that are not trained on, one a row, and their bytes."""
    kind: str
    rows: list[Rows]
    bytes: int


def held_out(vocabulary: bpe.Bpe, seed: int, kind: str, count: int, multiple: int) -> HeldOut:
    """The first documents of a kind behind grammar.HELD_OUT, each padded to a multiple of tokens;
    padding is a document of its own without targets."""
    rows, size = [], 0
    end = vocabulary.special[grammar.END]
    for number in range(grammar.HELD_OUT, grammar.HELD_OUT + count):
        if kind == "long":
            _, text = grammar.long_document(seed, number)
        else:
            _, text = grammar.document(seed, number, kind)
        ids = vocabulary.encode(text) + [end]
        padding = -(len(ids) - 1) % multiple
        row = rows_of(ids + [end] * padding, [0] * len(ids) + [1] * padding)
        row.targets[:, len(ids) - 1:] = IGNORED
        rows.append(row)
        size += len(text.encode())
    return HeldOut(kind, rows, size)
