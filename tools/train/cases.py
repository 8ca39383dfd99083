# SPDX-License-Identifier: MIT
"""Prompts whose greedy continuation by the shipped model means something, for the tests.

    python3 tools/train/cases.py WEIR SHIPPED.gguf tokenizer.json FOLDER

For each case FOLDER gets NAME.prompt.txt and NAME.text.txt: the first held-out document of its kind
that the model ends as the document does, if its answer is known, and where each token that it
chooses is well ahead of the second best, so that another way to round does not change the text. It
also gets held_out.tokens.txt, of which the tests find the perplexity, and drafts.tokens.txt, the
prompts whose drafts they count.
"""
import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy

import bpe
import grammar
import prompts
from prompts import ANSWER

NO_THOUGHTS = "<think>\n\n</think>\n\n"
TRIED = 1000          # documents of a case
PREDICT = 220         # tokens at most
LONG = 1000           # tokens between what is to be remembered and the question, at least
HELD_OUT_TOKENS = 160 # of each kind
DRAFT_PROMPTS = 2     # of each kind


@dataclass
class Case:
    """A kind of document, and the part that the model is to write."""
    kind: str
    mark: str           # the prompt ends with the last of these, or the first
    margin: float       # of logits, between the chosen token and the second best
    known: bool = True  # the document says what the answer is
    has: str = ""       # what the answer must hold
    asks: str = ""      # what the prompt must hold
    thinks: bool = False
    first: bool = False
    sentences: int = 0  # instead of a mark: how many of the document's are given


CASES = {
    "story": Case("story", "", 0.01, known=False, sentences=3),
    "questions": Case("questions", "\nAnswer:", 0.5),
    "sums": Case("sums", " =", 0.5),
    "json": Case("json", "\n", 0.5, has="{"),
    "chat": Case("chat", ANSWER, 0.5, asks="colour is"),
    "chat_json": Case("chat", ANSWER, 0.5, has="{"),
    "chat_thinking": Case("chat", ANSWER, 0.5, has=". ", thinks=True),
    "tool_call": Case("tools", ANSWER, 0.5, has="<tool_call>", first=True),
    "tool_answer": Case("tools", ANSWER, 0.5, asks="<tool_response>"),
    "memory_chat": Case("long", ANSWER, 0.5, has="Your name is"),
    "memory_book": Case("long", "\nAnswer:", 0.5, has="The keeper"),
}


def document(kind: str, number: int) -> str:
    """A held-out document."""
    number += grammar.HELD_OUT
    return (grammar.long_document(1, number) if kind == "long" else
            grammar.document(1, number, kind))[1]


def parts_of(case: Case, text: str) -> tuple[str, str]:
    """What is given and what is to be written; empty where the document does not fit."""
    if case.sentences:
        ends = [i + 1 for i, c in enumerate(text) if c == "."]
        return (text[:ends[case.sentences - 1]], "") if len(ends) > case.sentences else ("", "")
    head, mark, answer = text.partition(case.mark) if case.first else text.rpartition(case.mark)
    if not mark:
        return "", ""
    answer = answer.partition("<|im_end|>")[0]
    if case.mark != ANSWER:
        return head + mark, answer
    thoughts = answer.startswith("<think>") and not answer.startswith(NO_THOUGHTS)
    if thoughts != case.thinks:
        return "", ""
    begin = "<think>\n" if thoughts else NO_THOUGHTS
    return head + mark + begin, answer.removeprefix(begin)


class Model:
    """The shipped file, run by weir."""

    def __init__(self, weir: Path, path: Path, vocabulary: bpe.Bpe, folder: Path) -> None:
        self.weir, self.path, self.folder = weir, path, folder
        self.vocabulary = vocabulary

    def call(self, *arguments: object) -> str:
        """What the program prints."""
        words = [str(word) for word in (self.weir, *arguments)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def tokens_file(self, ids: list[int]) -> Path:
        """The ids as a file."""
        path = self.folder / "tokens"
        path.write_text(" ".join(map(str, ids)), encoding="utf-8")
        return path

    def continuation(self, prompt: list[int]) -> list[int]:
        """The greedy ids behind the prompt."""
        text = self.call("run", self.path, "--tokens", self.tokens_file(prompt), "--ids", "-n",
                         PREDICT, "--temp", 0)
        return [int(word) for word in text.split()]

    def written(self, prompt: list[int]) -> tuple[list[int], str]:
        """The greedy ids behind the prompt and their text; none if it does not come to an end."""
        ids = self.continuation(prompt)
        special = self.vocabulary.special
        if not ids or ids[-1] not in (special[grammar.END], special["<|im_end|>"]):
            return [], ""
        return ids, self.vocabulary.decode(ids[:-1])

    def answers(self, case: Case, given: str, answer: str) -> bool:
        """True if the greedy text is the answer: of a chat all of it, elsewhere the first line,
        behind which the model may go on to another question."""
        ids = self.continuation(self.vocabulary.encode(given))
        text = self.vocabulary.decode(ids)
        if case.mark == ANSWER:
            return text.removesuffix("<|im_end|>") == answer
        return text.partition(grammar.END)[0].partition("\n")[0] == answer.partition("\n")[0]

    def margin(self, prompt: list[int], ids: list[int]) -> float:
        """The smallest lead of a chosen token before the second best."""
        logits = self.folder / "logits"
        self.call("eval", self.path, "--tokens", self.tokens_file(prompt + ids), "--logits",
                  logits)
        rows = numpy.fromfile(logits, "<f4").reshape(len(prompt + ids), -1)
        best = numpy.sort(rows[len(prompt) - 1:-1], axis=1)
        return float((best[:, -1] - best[:, -2]).min())


def fits(case: Case, given: str, answer: str) -> bool:
    """True if the document has what the case wants."""
    return bool(given) and case.has in answer and case.asks in given


def tried(model: Model, case: Case, text: str) -> tuple[float, str, str]:
    """The margin of the document, prompt and text; -1 if it is not as the case wants it."""
    given, answer = parts_of(case, text)
    if not fits(case, given, answer):
        return -1, "", ""
    prompt = model.vocabulary.encode(given)
    if case.kind == "long" and len(prompt) < LONG + 60:  # what is to be remembered comes early
        return -1, "", ""
    ids, written = model.written(prompt)
    if not ids or (case.known and written != answer):
        return -1, "", ""
    return model.margin(prompt, ids), given, written


def best_of(model: Model, case: Case) -> tuple[float, str, str]:
    """The first document with the margin."""
    for number in range(TRIED):
        result = tried(model, case, document(case.kind, number))
        if result[0] >= case.margin:
            return result
    return -1, "", ""


def held_out_ids(vocabulary: bpe.Bpe) -> list[int]:
    """The first tokens of a held-out document of each kind."""
    ids: list[int] = []
    for kind in grammar.KINDS:
        text = grammar.document(1, grammar.HELD_OUT, kind)[1]
        ids += (vocabulary.encode(text) + [vocabulary.special[grammar.END]])[:HELD_OUT_TOKENS]
    return ids


def write_ids(path: Path, lines: list[list[int]]) -> None:
    """A file of ids."""
    path.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Writes all cases; fails if one has no document."""
    parser = argparse.ArgumentParser(description="Finds prompts for the tests.")
    parser.add_argument("weir", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    missing = []
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = bpe.load(str(arguments.tokenizer))
        model = Model(arguments.weir, arguments.model, vocabulary, Path(folder))
        for name, case in CASES.items():
            margin, given, text = best_of(model, case)
            if margin < 0:
                missing.append(name)
                continue
            print(f"{name}: margin {margin:.2f}: {text!r}", flush=True)
            for part, content in (("prompt", given), ("text", text)):
                path = arguments.folder / f"{name}.{part}.txt"
                path.write_bytes(content.encode())
    ids = held_out_ids(vocabulary)
    write_ids(arguments.folder / "held_out.tokens.txt",
              [ids[i:i + 24] for i in range(0, len(ids), 24)])
    write_ids(arguments.folder / "drafts.tokens.txt",
              [prompts.prompt(vocabulary, kind, 1, number) for kind in grammar.KINDS
               for number in range(DRAFT_PROMPTS)])
    if missing:
        sys.exit(f"no document for: {', '.join(missing)}")


if __name__ == "__main__":
    main()
