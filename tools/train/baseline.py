# SPDX-License-Identifier: MIT
"""What counting alone reaches: a 3-gram of the same tokens, learned from the same documents.

Interpolation is that of Witten and Bell (1991).
"""
import math
from collections import Counter

import bpe
import grammar
from data import IGNORED, HeldOut

ORDER = 3

Gram = tuple[int, ...]


class Ngram:
    """A context that n different tokens followed leaves as many counts to the shorter one."""

    def __init__(self, vocab: int) -> None:
        self.vocab = vocab
        self.counts: Counter[Gram] = Counter()
        self.totals: Counter[Gram] = Counter()
        self.kinds: Counter[Gram] = Counter()

    def learn(self, ids: list[int]) -> None:
        """Counts a document."""
        for end in range(1, len(ids) + 1):
            for length in range(min(ORDER, end)):
                gram = tuple(ids[end - 1 - length:end])
                context = gram[:-1]
                self.kinds[context] += gram not in self.counts
                self.counts[gram] += 1
                self.totals[context] += 1

    def probability(self, context: Gram, token: int) -> float:
        """Of a token behind a context of at most two."""
        lower = self.probability(context[1:], token) if context else 1 / self.vocab
        total, kinds = self.totals[context], self.kinds[context]
        if total == 0:
            return lower
        return (self.counts[(*context, token)] + kinds * lower) / (total + kinds)

    def bits_per_byte(self, held: HeldOut) -> float:
        """Of held-out text, its first tokens left out as they are for the model."""
        bits = 0.0
        for rows in held.rows:
            tokens, targets = rows.tokens[0].tolist(), rows.targets[0].tolist()
            for i, target in enumerate(targets):
                if target != IGNORED:
                    context = tuple(tokens[max(0, i + 2 - ORDER):i + 1])
                    bits -= math.log2(self.probability(context, target))
        return bits / held.bytes


def learned(vocabulary: bpe.Bpe, seed: int, documents: int) -> Ngram:
    """A 3-gram of the first documents."""
    ngram = Ngram(len(vocabulary))
    end = vocabulary.special[grammar.END]
    for number in range(documents):
        ngram.learn(vocabulary.encode(grammar.document(seed, number)[1]) + [end])
    return ngram
