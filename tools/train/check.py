# SPDX-License-Identifier: MIT
"""Compares the logits of weir with those of model.py in float64.

    python3 tools/train/check.py WEIR MODEL.gguf                     all tensors F32
    python3 tools/train/check.py WEIR MODEL.gguf --record FOLDER

The text is a held-out chat; the rows are those of the trunk and of the MTP block. --record writes
the tokens and some rows for the test in tests/cli/shipped.c; MODEL.gguf is then the shipped
file, decoded to F32 (`weir quantize --allow-requantize SHIPPED MODEL.gguf F32`).
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch

import bpe
import gguf
import grammar
from model import CHUNK, batch_of, moved_by_one

TOKENS = 3 * CHUNK
RECORDED_EVERY = 16  # rows
LIMIT = 1e-8         # normalised mean square error


def text_ids(vocabulary: bpe.Bpe, count: int) -> list[int]:
    """The first tokens of held-out chats."""
    ids: list[int] = []
    number = grammar.HELD_OUT
    while len(ids) < count:
        ids += vocabulary.encode(grammar.document(1, number, "chat")[1] + grammar.END)
        number += 1
    return ids[:count]


@torch.no_grad()
def logits_of(path: Path, ids: list[int]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Of trunk and MTP block, in float64."""
    model = gguf.load(path)
    tokens = torch.tensor([ids])
    batch = batch_of(torch.zeros_like(tokens), model.config, torch.float64)
    hidden = model.hidden(tokens, batch)
    own = model.mtp(model.embed(tokens), moved_by_one(hidden, batch), batch)
    return model.logits(hidden)[0].numpy(), model.logits(own)[0].numpy()


def weir_logits(weir: Path, path: Path, ids: list[int], *flags: str) -> numpy.ndarray:
    """The same by weir."""
    with tempfile.TemporaryDirectory() as folder:
        tokens, logits = Path(folder, "tokens"), Path(folder, "logits")
        tokens.write_text(" ".join(map(str, ids)), encoding="utf-8")
        subprocess.run([weir, "eval", path, "--tokens", tokens, "--logits", logits, "-ctk", "f32",
                        "-ctv", "f32", "--log-disable", *flags], check=True)
        return numpy.fromfile(logits, "<f4").reshape(len(ids), -1)


def error(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    """The normalised mean square error."""
    return float(((found - expected) ** 2).sum() / (expected ** 2).sum())


def record(folder: Path, ids: list[int], trunk: numpy.ndarray, mtp: numpy.ndarray) -> None:
    """Every RECORDED_EVERY-th row, from the last one back."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(" ".join(map(str, ids[i:i + 24])) for i in range(0, len(ids), 24))
    (folder / "logits.tokens.txt").write_text(text + "\n", encoding="utf-8")
    for name, rows in (("logits", trunk), ("mtp_logits", mtp)):
        some = rows[RECORDED_EVERY - 1::RECORDED_EVERY].astype("<f4")
        some.tofile(folder / f"{name}.f32")


def main() -> None:
    """Compares, and fails if the two differ."""
    parser = argparse.ArgumentParser(description="Compares weir with the network in torch.")
    parser.add_argument("weir", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    metadata, _ = gguf.read_file(arguments.model)
    vocabulary = bpe.from_spelled(merge.split(" ") for merge in metadata["tokenizer.ggml.merges"])
    ids = text_ids(vocabulary, TOKENS)
    trunk, mtp = logits_of(arguments.model, ids)
    errors = (error(weir_logits(arguments.weir, arguments.model, ids), trunk),
              error(weir_logits(arguments.weir, arguments.model, ids, "--mtp", "0"), mtp))
    print(f"NMSE of {TOKENS} rows: trunk {errors[0]:.1e}, MTP block {errors[1]:.1e}")
    if arguments.record:
        record(arguments.record, ids, trunk, mtp)
    sys.exit(not all(e <= LIMIT for e in errors))  # false for NaN too


if __name__ == "__main__":
    main()
