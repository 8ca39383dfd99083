# SPDX-License-Identifier: MIT
"""Chains of drafts: the MTP block on hidden rows of its own.

    python3 tools/train/chain.py FOLDER [--minutes M | --steps N]

Trains the block of FOLDER/checkpoint.pt further, with the trunk frozen, for a chain of DRAFTS, and
writes FOLDER/final.pt. The target is what the trunk expects, since drafts are kept where they are
what the trunk chooses.
"""
import argparse
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

# See train.py.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor
from torch.nn import functional

import bpe
from data import IGNORED, Rows, Source
from export import load
from model import Attention, Batch, Model, Mtp, batch_of, moved_by_one
from optimizer import optimizers, set_rate
from train import CLIP, LENGTH, LOG_EVERY, ROWS, THREADS

DRAFTS = 3
RATE = 0.005
SEED_STEP = 1 << 20  # documents from here on: none that the trunk was trained on

Cells = list[tuple[Tensor, Tensor]]  # keys and values of each draft's pass so far


def shifted(cells: Tensor, back: int) -> Tensor:
    """[B, heads, T, n] moved towards the end by `back` positions."""
    return functional.pad(cells[:, :, :-back], (0, 0, back, 0)) if back else cells


def is_inside(batch: Batch, back: int) -> Tensor:
    """[B, T]: true if the position `back` before belongs to the same document."""
    result = torch.ones_like(batch.first)
    if back:
        result[:, :back] = False
        result[:, back:] = batch.documents[:, back:] == batch.documents[:, :-back]
    return result


def chained_attention(attention: Attention, x: Tensor, batch: Batch, cells: Cells) -> Tensor:
    """The attention of draft j = len(cells) + 1 at every position p at once.

    Such a chain began at p - j + 1. Up to there the cache holds cells made from true hidden rows,
    those of the first pass; behind it one cell of each later pass.
    """
    q, k, v, gate = attention.project(x, batch)
    cells.append((k, v))
    drafts = len(cells)
    first_k, first_v = cells[0]
    length, group = q.shape[2], q.shape[1] // k.shape[1]
    early = torch.ones(length, length, dtype=torch.bool).tril(1 - drafts)
    scores = [(attention.scores(q, first_k) + batch.mask).masked_fill(~early, -math.inf)]
    later = []
    for number, (key, value) in enumerate(cells[1:], 2):
        back = drafts - number
        key, value = (shifted(t, back).repeat_interleave(group, 1) for t in (key, value))
        outside = ~is_inside(batch, back)[:, None, :, None]
        scores.append((q * key).sum(-1, keepdim=True).masked_fill(outside, -math.inf))
        later.append(value)
    weights = torch.softmax(torch.cat(scores, -1), -1)
    read = attention.read(weights[..., :length].contiguous(), first_v)
    for i, value in enumerate(later):
        read = read + weights[..., length + i, None] * value
    return attention.output(read, gate)


def drafts_of(mtp: Mtp, embedded: Tensor, hidden: Tensor, batch: Batch,
              drafts: int) -> list[Tensor]:
    """The block's hidden rows for draft 1, 2, ... at every position; `hidden` is the trunk's."""
    cells: Cells = []
    results = []
    for _ in range(drafts):
        x = mtp.join(embedded, moved_by_one(hidden, batch))
        block = mtp.block
        x = x + chained_attention(block.mixer, block.input_layernorm(x), batch, cells)
        x = x + block.mlp(block.post_attention_layernorm(x))
        hidden = mtp.norm(x)
        results.append(hidden)
    return results


def draft_losses(model: Model, rows: Rows) -> tuple[Tensor, Tensor]:
    """[DRAFTS]: the mean cross-entropy to what the trunk expects, and how often the trunk's choice
    is the draft's, where the whole chain lies within a document."""
    batch = batch_of(rows.documents, model.config, torch.float32)
    with torch.no_grad():
        hidden = model.hidden(rows.tokens, batch)
        wanted = torch.softmax(model.logits(hidden), -1)
        embedded = model.embed(rows.tokens)
    losses, hits = [], []
    for number, own in enumerate(drafts_of(model.mtp, embedded, hidden, batch, DRAFTS)):
        kept = (rows.targets != IGNORED) & is_inside(batch, number)
        logits = model.logits(own[kept])
        losses.append(functional.cross_entropy(logits, wanted[kept]))
        hits.append((logits.argmax(-1) == wanted[kept].argmax(-1)).float().mean())
    return torch.stack(losses), torch.stack(hits)


def train_chain(model: Model, source: Source, minutes: float, steps: int, say) -> None:
    """For so many steps or, if they are 0, until both cores have worked for the minutes."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("mtp."))
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    pool = ThreadPoolExecutor(THREADS)
    both = optimizers(named, RATE, pool, THREADS)

    def share(rows: Rows) -> tuple[list[Tensor], Tensor, Tensor]:
        losses, hits = draft_losses(model, rows)
        return torch.autograd.grad(losses.mean(), [p for _, p in named]), losses.detach(), hits

    began, step, sums = time.process_time(), 0, torch.zeros(2, DRAFTS)

    def done() -> float:
        spent = (time.process_time() - began) / THREADS
        return step / steps if steps else spent / 60 / minutes

    while (progress := done()) < 1:
        set_rate(both, 1 - progress)
        parts = list(pool.map(share, [source.row(LENGTH) for _ in range(ROWS)]))
        for (_, parameter), *gradients in zip(named, *(part[0] for part in parts)):
            parameter.grad = sum(gradients) / ROWS
        torch.nn.utils.clip_grad_norm_([p for _, p in named], CLIP)
        for optimizer in both:
            optimizer.step()
        step += 1
        sums += torch.stack([torch.stack([p[i] for p in parts]).mean(0) for i in (1, 2)])
        if step % LOG_EVERY == 0:
            loss, hit = (" ".join(f"{x:.3f}" for x in row / LOG_EVERY) for row in sums)
            say(f"chain step {step}: loss by draft {loss}, agreement with the trunk {hit}")
            sums.zero_()
    say(f"chain done after {step} steps")


def main() -> None:
    """Trains as the command line says."""
    parser = argparse.ArgumentParser(description="Trains the MTP block on hidden rows of its own.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.folder

    def say(line: str) -> None:
        print(line, flush=True)
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
            log.write(line + "\n")

    model = load(folder / "checkpoint.pt")
    source = Source(bpe.load(str(folder / "tokenizer.json")), arguments.seed, SEED_STEP)
    train_chain(model, source, arguments.minutes, arguments.steps, say)
    new = folder / "final.new"
    torch.save({"config": asdict(model.config), "model": model.state_dict()}, new)
    new.replace(folder / "final.pt")


if __name__ == "__main__":
    main()
