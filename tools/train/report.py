# SPDX-License-Identifier: MIT
"""The figures of the model card, as Markdown.

    python3 tools/train/report.py WEIR FOLDER F32.gguf SHIPPED.gguf [--documents N]

FOLDER is that of train.py. Losses are found in torch, divergence and acceptance by weir.
"""
import argparse
import itertools
import re
import subprocess
import tempfile
from pathlib import Path

import torch

import baseline
import bpe
import cases
import grammar
from data import held_out
from export import load
from model import CHUNK
from prompts import prompt
from train import MEASURED_DOCUMENTS, bits_per_byte

DRAFTS = 3
PROMPTS = 16      # of each kind
CONTINUED = 48    # tokens behind each at most
WINDOW = 256      # of the divergence
DIVERGENCE_DOCUMENTS = 60
ANSWERED_FROM = 1000  # none of those that the cases of the tests are chosen from
ANSWERS = 40


def weir(*arguments: object) -> str:
    """What the program prints."""
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True,
                          text=True).stdout


def losses(vocabulary: bpe.Bpe, folder: Path, seed: int, documents: int) -> list[str]:
    """Bits per byte by kind, of a 3-gram and of the model."""
    model = load(folder / "final.pt")
    ngram = baseline.learned(vocabulary, seed, documents)
    lines = ["| held-out text | 3-gram | model |", "|---|---|---|"]
    for kind in (*grammar.KINDS, "long"):
        held = held_out(vocabulary, seed, kind, MEASURED_DOCUMENTS, CHUNK)
        lines.append(f"| {kind} | {ngram.bits_per_byte(held):.3f} "
                     f"| {bits_per_byte(model, held):.3f} |")
    return lines


def acceptance(program: Path, shipped: Path, vocabulary: bpe.Bpe, seed: int) -> list[str]:
    """How many drafts are accepted, by kind and place in the chain."""
    heads = "".join(f" draft {i + 1} |" for i in range(DRAFTS))
    lines = [f"| kind of text |{heads} tokens a round |", "|---" * (DRAFTS + 2) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        every: list[str] = []
        for kind in (*grammar.KINDS, "all"):
            prompts = [" ".join(map(str, prompt(vocabulary, kind, seed, number)))
                       for number in range(PROMPTS)] if kind != "all" else every
            every += prompts if kind != "all" else []
            path = Path(folder, "prompts")
            path.write_text("\n".join(prompts) + "\n", encoding="utf-8")
            text = weir(program, "eval", shipped, "--tokens", path, "--mtp-acceptance", DRAFTS,
                        "-n", CONTINUED)
            cells = re.findall(r"accepted, (.*)", text) + re.findall(r"commits (\S+)", text)
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return lines


def answers(program: Path, shipped: Path, vocabulary: bpe.Bpe) -> list[str]:
    """How often the greedy answer is, to the letter, the one of a held-out document."""
    lines = ["| answers (cases.py) | right |", "|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        model = cases.Model(program, shipped, vocabulary, Path(folder))
        for name, case in cases.CASES.items():
            texts = (cases.document(case.kind, number) for number in range(ANSWERED_FROM, 1 << 30))
            fitting = (parts for text in texts
                       if cases.fits(case, *(parts := cases.parts_of(case, text))))
            some = list(itertools.islice(fitting, ANSWERS)) if case.known else []
            right = sum(model.answers(case, *parts) for parts in some)
            if some:
                lines.append(f"| {name} | {right} of {len(some)} |")
    return lines


def divergence(program: Path, exact: Path, shipped: Path, vocabulary: bpe.Bpe,
               seed: int) -> list[str]:
    """From the F32 file to the shipped one, on held-out documents of all kinds."""
    end = vocabulary.special[grammar.END]
    ids: list[int] = []
    for number in range(grammar.HELD_OUT, grammar.HELD_OUT + DIVERGENCE_DOCUMENTS):
        ids += vocabulary.encode(grammar.document(seed, number)[1]) + [end]
    with tempfile.TemporaryDirectory() as folder:
        tokens, rows = Path(folder, "tokens"), Path(folder, "rows")
        tokens.write_text(" ".join(map(str, ids)), encoding="utf-8")
        weir(program, "eval", exact, "--tokens", tokens, "-c", WINDOW, "--save-logits", rows)
        text = weir(program, "eval", shipped, "--kl", rows)
    return [line for line in text.splitlines()
            if re.match(r"(PPL|KL mean|KL 99|same top)", line)]


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description="Prints the figures of the model card.")
    parser.add_argument("weir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("exact", type=Path)
    parser.add_argument("shipped", type=Path)
    parser.add_argument("--documents", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary = bpe.load(str(arguments.folder / "tokenizer.json"))
    parts = [
        [f"{arguments.shipped.name}: {arguments.shipped.stat().st_size} bytes"],
        losses(vocabulary, arguments.folder, arguments.seed, arguments.documents),
        answers(arguments.weir, arguments.shipped, vocabulary),
        acceptance(arguments.weir, arguments.shipped, vocabulary, arguments.seed),
        divergence(arguments.weir, arguments.exact, arguments.shipped, vocabulary,
                   arguments.seed),
    ]
    print("\n\n".join("\n".join(part) for part in parts))


if __name__ == "__main__":
    main()
