# SPDX-License-Identifier: MIT
"""Checks the tokenizer and the grammar: python3 tools/train/test_bpe.py. Needs no library."""
import json
import random
import sys
import unittest
from pathlib import Path

import bpe
import grammar
import sums
from questions import new_passage

VECTORS = Path(__file__).parents[2] / "tests/data/tokenizer/pretokens.json"


class Tokenizer(unittest.TestCase):
    """The splitting equals the recorded one; a vocabulary gives back what went in."""

    def test_pretokens(self) -> None:
        for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]:
            self.assertEqual(bpe.pretokens(case["text"]), case["qwen35"], case["text"])

    def test_round_trip(self) -> None:
        texts = [grammar.document(3, i)[1] for i in range(60)]
        vocabulary = bpe.train(texts, 700)
        self.assertEqual(len(vocabulary), 700)
        for text in (*texts, "caf\u00e9 \u4e2d <think>\n\n</think> 'tis"):
            self.assertEqual(vocabulary.decode(vocabulary.encode(text)), text)

    def test_training_is_repeatable(self) -> None:
        texts = [grammar.document(4, i)[1] for i in range(20)]
        self.assertEqual(bpe.train(texts, 400).merges, bpe.train(texts[::-1], 400).merges)


class Grammar(unittest.TestCase):
    """Documents depend on seed and number alone, and what they say is right."""

    def test_documents_repeat(self) -> None:
        for number in range(40):
            self.assertEqual(grammar.document(1, number), grammar.document(1, number))
        self.assertNotEqual(grammar.document(1, 0), grammar.document(2, 0))

    def test_steps_of_sums(self) -> None:
        for a in range(100):
            for b in range(100):
                self.assertTrue(sums.sum_steps(a, b).endswith(f"= {a + b}."))
                if a >= b:
                    self.assertTrue(sums.difference_steps(a, b).endswith(f"= {a - b}."))

    def test_answers_stand_in_passage(self) -> None:
        for number in range(200):
            passage, questions = new_passage(random.Random(number))
            for question in questions:
                for word in question.short.rstrip(".").split():
                    self.assertIn(word.lower(), passage.lower() + " at in on")


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
