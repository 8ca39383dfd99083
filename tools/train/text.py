# SPDX-License-Identifier: MIT
"""Sentences with choices: what all generators of text are written in."""
import random
import re

CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(rng: random.Random, template: str, **fields: object) -> str:
    """Replaces each [a|b|c] by one of its parts, innermost first, then each {name} by its field.

    Choices come before fields, so that what a field holds is never taken for a choice.
    """
    while "[" in template:
        template = CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), template)
    return template.format(**fields)


def capital(sentence: str) -> str:
    """The sentence with a capital letter first."""
    return sentence[:1].upper() + sentence[1:]


def paragraph(sentences: list[str]) -> str:
    """The sentences, each begun with a capital, in one line."""
    return " ".join(capital(sentence) for sentence in sentences)
