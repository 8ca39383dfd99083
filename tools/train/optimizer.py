# SPDX-License-Identifier: MIT
"""Muon for the matrices of the blocks, AdamW for everything else.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by the nearest orthogonal one, so that
every direction learns at one speed; small models need fewer tokens with it.
"""
from concurrent.futures import Executor

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the quintic of Muon's paper
ITERATIONS = 5
TABLE = "embed_tokens"
SMALLEST = 64     # fewer rows than that have no directions to balance
ADAM_SHARE = 0.15  # of the rate, for norms, taps and gates; the embedding has the whole rate


def orthogonal(update: Tensor) -> Tensor:
    """The matrices of a stack [n, rows, columns] with all singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = update.shape[-2] > update.shape[-1]
    x = update.transpose(-1, -2) if tall else update
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(-1, -2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(-1, -2) if tall else x


class Muon(torch.optim.Optimizer):
    """Matrices of one shape are made orthogonal together, one stack of them a thread."""

    def __init__(self, parameters: list[dict], lr: float, pool: Executor, stacks: int,
                 momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum,
                                      "weight_decay": weight_decay})
        self.pool, self.stacks = pool, stacks

    def momentum_of(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov's momentum of a parameter."""
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)

    def move(self, group: dict, parameters: list[nn.Parameter]) -> None:
        """One step of parameters of one shape."""
        rows, columns = parameters[0].shape
        updates = torch.stack([self.momentum_of(p, group["momentum"]) for p in parameters])
        scale = group["lr"] * max(1.0, rows / columns) ** 0.5
        for parameter, update in zip(parameters, orthogonal(updates)):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update, alpha=-scale)

    def step(self) -> None:
        """One step on all parameters that have a gradient."""

        def run(job: tuple[dict, list[nn.Parameter]]) -> None:
            with torch.no_grad():
                self.move(*job)

        jobs = []
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for same in by_shape.values():
                jobs += [(group, same[i::self.stacks]) for i in range(self.stacks) if same[i:]]
        list(self.pool.map(run, jobs))


# What these matrices make is added up over all layers: the sum must leave a token's embedding to be
# seen.
OUTPUTS = ("out_proj", "o_proj", "down_proj")
OUTPUT_SHARE = 0.3


def is_for_muon(name: str, parameter: nn.Parameter) -> bool:
    """Matrices of the blocks with more than a handful of rows."""
    return parameter.dim() == 2 and min(parameter.shape) >= SMALLEST and name != TABLE


def optimizers(named: list[tuple[str, nn.Parameter]], lr: float, pool: Executor,
               threads: int) -> list[torch.optim.Optimizer]:
    """Both, for these parameters; AdamW's rates are fixed shares of Muon's."""
    matrices = [(name, p) for name, p in named if is_for_muon(name, p)]
    muon = [{"params": [p for name, p in matrices if not name.endswith(OUTPUTS)], "lr": lr},
            {"params": [p for name, p in matrices if name.endswith(OUTPUTS)],
             "lr": lr * OUTPUT_SHARE}]
    tables = [p for name, p in named if name == TABLE]
    others = [p for _, p in named if p.dim() < 2 or min(p.shape) < SMALLEST]
    adam = [{"params": tables, "lr": lr}, {"params": others, "lr": lr * ADAM_SHARE}]
    both: list[torch.optim.Optimizer] = [
        Muon(muon, lr, pool, threads),
        torch.optim.AdamW([group for group in adam if group["params"]], betas=(0.9, 0.98),
                          weight_decay=0.0)]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return both


def set_rate(both: list[torch.optim.Optimizer], factor: float) -> None:
    """Sets the learning rates to a share of the full ones."""
    for optimizer in both:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
