# SPDX-License-Identifier: MIT
"""Trains trunk and MTP block together.

    python3 tools/train/train.py FOLDER [--minutes M | --steps N] [--seed S]

FOLDER gets tokenizer.json, log.txt and checkpoint.pt. A run that was stopped goes on from the
checkpoint; with fewer minutes than before it slows down sooner. Minutes are those in which both
cores work: the result is not worse where other programs take their share, but it cannot be repeated
bit for bit, since the rate follows the clock. With --steps a run depends on the seed alone, on one
kind of machine.
"""
import argparse
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

# Each thread works on rows of its own, one operation at a time: operations that are cut among
# threads would wait for each other all the time. This must be said before torch is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor
from torch.nn import functional

import bpe
import grammar
from data import IGNORED, HeldOut, Rows, Source, held_out
from export import write_json
from model import CHUNK, Config, Model, batch_of, moved_by_one
from optimizer import optimizers, set_rate

THREADS = 2
ROWS, LENGTH = 4, 512
LONG_ROWS, LONG_LENGTH = 2, 2048
LONG_EVERY = 12     # steps
LONG_FROM = 0.25    # of the training
RATE = 0.02
WARM_UP = 0.02      # of the training
DECAY_FROM = 0.4    # of the training; the rate then falls to 0 in a line
MTP_WEIGHT = 0.3
CLIP = 1.0
LOG_EVERY, MEASURE_EVERY, SAVE_EVERY = 20, 300, 50
TOKENIZER_DOCUMENTS = 4000
MEASURED_DOCUMENTS = 12  # of each kind


@dataclass
class Clock:
    """How much of the training is done, by steps or by time."""
    minutes: float
    steps: int
    step: int = 0
    spent: float = 0.0  # seconds of all cores, those of stopped runs included

    def progress(self) -> float:
        """0 at the beginning, 1 at the end."""
        return self.step / self.steps if self.steps else self.spent / (60 * self.minutes)


def rate_factor(progress: float) -> float:
    """Rises, stays, falls."""
    rise = min(1.0, (progress + 1e-3) / WARM_UP)
    return rise * max(0.0, min(1.0, (1 - progress) / (1 - DECAY_FROM)))


def cross_entropy(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """In nats for each token with a target."""
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(),
                                    ignore_index=IGNORED, reduction=reduction)


@dataclass
class Sums:
    """Losses summed over tokens, their numbers, and the gradients of one thread."""
    gradients: list[Tensor]
    trunk: float = 0.0
    mtp: float = 0.0


def add_row(model: Model, rows: Rows, with_mtp: bool, weights: tuple[float, float],
            sums: Sums) -> None:
    """Adds the losses of one row, times their weights, and the gradients of that."""
    batch = batch_of(rows.documents, model.config, torch.float32)
    hidden = model.hidden(rows.tokens, batch)
    trunk = cross_entropy(model.logits(hidden), rows.targets, "sum") * weights[0]
    total = trunk
    sums.trunk += trunk.item()
    if with_mtp:
        own = model.mtp(model.embed(rows.tokens), moved_by_one(hidden, batch), batch)
        mtp = cross_entropy(model.logits(own), rows.targets, "sum") * weights[1]
        total = total + MTP_WEIGHT * mtp
        sums.mtp += mtp.item()
    gradients = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    for to, gradient in zip(sums.gradients, gradients):
        if gradient is not None:
            to.add_(gradient)


def targets_of(rows: list[Rows]) -> int:
    """The number of tokens with a target."""
    return sum(int((row.targets != IGNORED).sum()) for row in rows)


class Losses:
    """Losses and gradients of a batch, its rows dealt to threads. A row at a time stays in the
    caches of a core, which matters more than large products."""

    def __init__(self, model: Model, threads: int) -> None:
        self.model = model
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)

    def some(self, rows: list[tuple[Rows, bool]], weights: tuple[float, float]) -> Sums:
        """One thread's share."""
        sums = Sums([torch.zeros_like(p) for p in self.model.parameters()])
        for row, with_mtp in rows:
            add_row(self.model, row, with_mtp, weights, sums)
        return sums

    def backward(self, rows: list[Rows]) -> tuple[float, float]:
        """Sets the gradients; the first half of the rows trains the MTP block too. Returns mean
        losses."""
        half = len(rows) // 2
        weights = (1 / targets_of(rows), 1 / targets_of(rows[:half]))
        jobs = [(row, i < half) for i, row in enumerate(rows)]
        shares = [jobs[i::self.threads] for i in range(self.threads)]
        results = list(self.pool.map(lambda share: self.some(share, weights), shares))
        for parameter, *gradients in zip(self.model.parameters(), *(r.gradients for r in results)):
            parameter.grad = sum(gradients)
        return sum(r.trunk for r in results), sum(r.mtp for r in results)


@torch.no_grad()
def bits_per_byte(model: Model, held: HeldOut) -> float:
    """Of the trunk on held-out text."""
    nats = 0.0
    for rows in held.rows:
        batch = batch_of(rows.documents, model.config, torch.float32)
        logits = model.logits(model.hidden(rows.tokens, batch))
        nats += cross_entropy(logits, rows.targets, "sum").item()
    return nats / math.log(2) / held.bytes


class Training:
    """A run with all that its checkpoint holds."""

    def __init__(self, folder: Path, clock: Clock, seed: int) -> None:
        self.folder, self.clock, self.seed = folder, clock, seed
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        self.config = Config()
        self.model = Model(self.config)
        self.losses = Losses(self.model, THREADS)
        self.both = optimizers(list(self.model.named_parameters()), RATE, self.losses.pool,
                               THREADS)
        self.source = Source(self.vocabulary(), seed)
        kinds = [*grammar.KINDS, "long"]
        self.held = [held_out(self.source.vocabulary, seed, kind, MEASURED_DOCUMENTS, CHUNK)
                     for kind in kinds]
        if self.checkpoint.exists():
            self.restore()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def vocabulary(self) -> bpe.Bpe:
        """That of the folder, or a new one."""
        path = self.folder / "tokenizer.json"
        if not path.exists():
            texts = (grammar.document(self.seed, i)[1] for i in range(TOKENIZER_DOCUMENTS))
            write_json(path, bpe.train(texts, self.config.vocab).json())
        return bpe.load(str(path))

    def say(self, line: str) -> None:
        """To the terminal and to the log."""
        print(line, flush=True)
        with open(self.folder / "log.txt", "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def save(self) -> None:
        """Replaces the checkpoint in one go."""
        new = self.checkpoint.with_suffix(".new")
        torch.save({"config": asdict(self.config), "model": self.model.state_dict(),
                    "optimizers": [o.state_dict() for o in self.both],
                    "number": self.source.number, "step": self.clock.step,
                    "spent": self.clock.spent}, new)
        new.replace(self.checkpoint)

    def restore(self) -> None:
        """Goes on where the checkpoint is."""
        saved = torch.load(self.checkpoint)
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.both, saved["optimizers"]):
            optimizer.load_state_dict(state)
        self.source.number = saved["number"]
        self.clock.step, self.clock.spent = saved["step"], saved["spent"]
        self.say(f"going on at step {self.clock.step}")

    def rows(self) -> list[Rows]:
        """The next batch: now and then one of long documents."""
        is_long = self.clock.step % LONG_EVERY == 0 and self.clock.progress() >= LONG_FROM
        if is_long:
            return [self.source.row(LONG_LENGTH, long=True) for _ in range(LONG_ROWS)]
        return [self.source.row(LENGTH) for _ in range(ROWS)]

    def step(self) -> tuple[float, float]:
        """One step; returns both losses."""
        set_rate(self.both, rate_factor(self.clock.progress()))
        trunk, mtp = self.losses.backward(self.rows())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for optimizer in self.both:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return trunk, mtp

    def measure(self) -> None:
        """Logs the held-out losses."""
        found = {held.kind: bits_per_byte(self.model, held) for held in self.held}
        line = " ".join(f"{kind} {bits:.4f}" for kind, bits in found.items())
        self.say(f"held out, bits per byte: {line} mean {sum(found.values()) / len(found):.4f}")

    def run(self) -> None:
        """Until the clock says that it is done."""
        count = sum(p.numel() for p in self.model.parameters())
        self.say(f"{count} parameters, seed {self.seed}, {ROWS * LENGTH} tokens a step")
        sums = [0.0, 0.0, 0.0]
        while self.clock.progress() < 1:
            began, worked = time.monotonic(), time.process_time()
            trunk, mtp = self.step()
            took = time.monotonic() - began
            self.clock.step += 1
            self.clock.spent += (time.process_time() - worked) / THREADS
            sums = [a + b for a, b in zip(sums, (trunk, mtp, took))]
            if self.clock.step % LOG_EVERY == 0:
                rate = LOG_EVERY * ROWS * LENGTH / sums[2]
                self.say(f"step {self.clock.step} at {self.clock.spent / 60:.1f} min: "
                         f"loss {sums[0] / LOG_EVERY:.4f} mtp {sums[1] / LOG_EVERY:.4f} "
                         f"{rate:.0f} tokens/s")
                sums = [0.0, 0.0, 0.0]
            if self.clock.step % SAVE_EVERY == 0:
                self.save()
            if self.clock.step % MEASURE_EVERY == 0:
                self.measure()
        self.save()
        self.measure()
        self.say(f"done after {self.clock.step} steps, {self.clock.spent / 60:.1f} minutes")


def main() -> None:
    """Trains as the command line says."""
    parser = argparse.ArgumentParser(description="Trains trunk and MTP block together.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock = Clock(arguments.minutes, arguments.steps)
    Training(arguments.folder, clock, arguments.seed).run()


if __name__ == "__main__":
    main()
