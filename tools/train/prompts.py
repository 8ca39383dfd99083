# SPDX-License-Identifier: MIT
"""Prompts from held-out documents, for `weir eval --mtp-acceptance`: the ids of the beginning of a
document each, a line each, one file for each kind of text.

    python3 tools/train/prompts.py TOKENIZER_JSON FOLDER [--count N]
"""
import argparse
from pathlib import Path

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


def main() -> None:
    """Writes what the command line says."""
    parser = argparse.ArgumentParser(description="Writes prompts of held-out documents.")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    vocabulary = bpe.load(str(arguments.tokenizer))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for kind in grammar.KINDS:
        lines = (" ".join(map(str, prompt(vocabulary, kind, arguments.seed, number)))
                 for number in range(arguments.count))
        (arguments.folder / f"{kind}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
