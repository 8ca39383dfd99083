# SPDX-License-Identifier: MIT
"""Prompts from held-out documents, for `weir eval --mtp-acceptance`."""
import bpe
import grammar

ANSWER = "<|im_start|>assistant\n"
SHARE = 0.4  # of a document without answers that is given


def prompt(vocabulary: bpe.Bpe, kind: str, seed: int, number: int) -> list[int]:
    """A chat up to where its last answer begins to say something, or the beginning of a text."""
    _, text = grammar.document(seed, grammar.HELD_OUT + number, kind)
    if ANSWER in text:
        head, _, answer = text.rpartition(ANSWER)
        thoughts, mark, _ = answer.partition("</think>\n\n")
        return vocabulary.encode(head + ANSWER + (thoughts + mark if mark else ""))
    ids = vocabulary.encode(text)
    return ids[:max(8, int(len(ids) * SHARE))]
