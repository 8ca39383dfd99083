# SPDX-License-Identifier: MIT
"""Reads a GGUF file whose tensors are F32, back into the network of model.py.

It undoes what conversion does, from the description in MODEL.md, so that the network can be run on
exactly the numbers that a quantized file stands for.
"""
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy
import torch
from torch import Tensor

from model import Config, Model

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
           12: "d"}
STRING, ARRAY, F32 = 8, 9, 0

BLOCK = {"attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
         "attn_q": "mixer.q_proj", "attn_k": "mixer.k_proj", "attn_v": "mixer.v_proj",
         "attn_output": "mixer.o_proj", "attn_q_norm": "mixer.q_norm",
         "attn_k_norm": "mixer.k_norm", "attn_qkv": "mixer.in_proj_qkv",
         "attn_gate": "mixer.in_proj_z", "ssm_alpha": "mixer.in_proj_a",
         "ssm_beta": "mixer.in_proj_b", "ssm_conv1d": "mixer.conv1d",
         "ssm_dt.bias": "mixer.dt_bias", "ssm_a": "mixer.A_log", "ssm_norm": "mixer.norm",
         "ssm_out": "mixer.out_proj"}
MTP = {"nextn.eh_proj": "fc", "nextn.enorm": "pre_fc_norm_embedding",
       "nextn.hnorm": "pre_fc_norm_hidden", "nextn.shared_head_norm": "norm"}


def read(file: BinaryIO, form: str) -> Any:
    """One little-endian number."""
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]


def read_text(file: BinaryIO) -> str:
    return file.read(read(file, "Q")).decode()


def read_value(file: BinaryIO, kind: int) -> Any:
    """A value of the metadata."""
    if kind == STRING:
        return read_text(file)
    if kind == ARRAY:
        inner, count = read(file, "I"), read(file, "Q")
        return [read_value(file, inner) for _ in range(count)]
    return read(file, SCALARS[kind])


def read_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors."""
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path}: no GGUF file")
        _, tensors, keys = read(file, "I"), read(file, "Q"), read(file, "Q")
        metadata = {}
        for _ in range(keys):
            key = read_text(file)
            metadata[key] = read_value(file, read(file, "I"))
        infos = []
        for _ in range(tensors):
            name, count = read_text(file), read(file, "I")
            shape = [read(file, "Q") for _ in range(count)][::-1]
            kind, offset = read(file, "I"), read(file, "Q")
            if kind != F32:
                raise ValueError(f"{path}: {name} is not F32")
            infos.append((name, shape, offset))
        begin = -(-file.tell() // 32) * 32
    data = numpy.memmap(path, "<f4", "r", begin)
    return metadata, {name: torch.tensor(data[offset // 4:offset // 4 + int(numpy.prod(shape))])
                      .view(shape) for name, shape, offset in infos}


def grouped(heads: Tensor, config: Config) -> Tensor:
    """Value heads along the first dimension, from tiled to grouped by their key head."""
    tiled = heads.unflatten(0, (config.heads_v // config.heads_k, config.heads_k, -1))
    return tiled.transpose(0, 1).flatten(0, 2)


def original(name: str, value: Tensor, config: Config) -> Tensor:
    """What the checkpoint had in place of this tensor."""
    keys = 2 * config.heads_k * config.state
    if name in ("attn_qkv", "ssm_conv1d"):
        return torch.cat((value[:keys], grouped(value[keys:], config)))
    if name == "ssm_out":
        return grouped(value.T, config).T
    if name == "ssm_a":
        return grouped((-value).log(), config)
    if name in ("attn_gate", "ssm_alpha", "ssm_beta", "ssm_dt.bias"):
        return grouped(value, config)
    is_shifted = value.dim() == 1 and name != "ssm_norm"
    return value - 1 if is_shifted else value


def parameter_name(name: str, layers: int) -> str:
    """model.py's name of a tensor."""
    if name == "token_embd":
        return "embed_tokens"
    if name == "output_norm":
        return "norm.weight"
    _, number, rest = name.split(".", 2)
    is_mtp = int(number) == layers
    prefix = "mtp." if is_mtp else f"layers.{number}."
    if rest in MTP:
        inner = MTP[rest]
    else:
        inner = ("block." if is_mtp else "") + BLOCK[rest]
    return prefix + inner + (".weight" if "norm" in inner and "mixer.norm" not in inner else "")


def load(path: Path) -> Model:
    """The network with the file's numbers, in float64."""
    config = Config()
    _, tensors = read_file(path)
    model = Model(config).double()
    state = {}
    for name, value in tensors.items():
        name = name.removesuffix(".weight")
        short = name.split(".", 2)[-1] if name.startswith("blk.") else name
        state[parameter_name(name, config.layers)] = original(short, value.double(), config)
    model.load_state_dict(state)
    return model
