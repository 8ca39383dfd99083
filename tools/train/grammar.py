# SPDX-License-Identifier: MIT
"""The text that the model learns: documents, each a function of a seed and a number.

    python3 tools/train/grammar.py [--seed N] [--count N] [--kind KIND]    prints some
"""
import argparse
import random
from typing import Callable, Iterator

import chats
from objects import objects
from questions import story_with_questions
from stories import new_story
from sums import sums

# Documents of the training text are numbered from 0, those of the held-out text from here.
HELD_OUT = 1 << 40

# Kind: what makes it, and its share of the documents.
KINDS: dict[str, tuple[Callable[[random.Random], str], float]] = {
    "story": (lambda rng: new_story(rng, plotted=True).text(), 0.30),
    "questions": (story_with_questions, 0.18),
    "chat": (chats.chat, 0.27),
    "tools": (chats.chat_with_tools, 0.07),
    "sums": (sums, 0.08),
    "json": (objects, 0.05),
    "memory": (lambda rng: remember(rng, rng.randint(1, 4)), 0.05),
}

END = "<|endoftext|>"


def remember(rng: random.Random, parts: int) -> str:
    """Something said at the beginning is asked for at the end, `parts` stories or turns later."""
    return rng.choice((chats.remembered, chats.chronicle))(rng, parts)


def document(seed: int, number: int, kind: str | None = None) -> tuple[str, str]:
    """The kind and the text of a document."""
    rng = random.Random(f"{seed} {number}")
    if kind is None:
        kind = rng.choices(list(KINDS), [share for _, share in KINDS.values()])[0]
    return kind, KINDS[kind][0](rng)


def long_document(seed: int, number: int) -> tuple[str, str]:
    """A document that keeps something in mind for more than a thousand tokens."""
    rng = random.Random(f"{seed} {number} long")
    return "memory", remember(rng, rng.randint(10, 14))


def documents(seed: int, first: int = 0) -> Iterator[tuple[str, str]]:
    """All documents from a number on."""
    while True:
        yield document(seed, first)
        first += 1


def main() -> None:
    """Prints some documents."""
    parser = argparse.ArgumentParser(description="Prints documents of the training text.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--kind", choices=list(KINDS))
    arguments = parser.parse_args()
    for number in range(arguments.count):
        kind, text = document(arguments.seed, number, arguments.kind)
        print(f"---- {kind} ----\n{text}\n")


if __name__ == "__main__":
    main()
