# SPDX-License-Identifier: MIT
"""Writes a checkpoint as a folder in the style of Hugging Face, which `weir convert` reads.

    python3 tools/train/export.py CHECKPOINT FOLDER
"""
import argparse
import json
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import bpe
from model import Config, Model

TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def original_name(name: str) -> str:
    """The name that original checkpoints give a parameter."""
    is_layer = name.startswith("layers.")
    if ".mixer." in name:
        linear = is_layer and Config().is_recurrent(int(name.split(".")[1]))
        name = name.replace(".mixer.", ".linear_attn." if linear else ".self_attn.")
    name = name.replace("mtp.block.", "mtp.layers.0.")
    if not name.endswith((".weight", "A_log", "dt_bias")):
        name += ".weight"
    return name if name.startswith("mtp.") else "model." + name


def original_tensors(model: Model) -> dict[str, Tensor]:
    """All parameters under their original names and shapes."""
    tensors = {}
    for name, value in model.state_dict().items():
        name = original_name(name)
        tensors[name] = value[:, None] if name.endswith("conv1d.weight") else value
    return tensors


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """A u64 with the length of a JSON header, the header, the data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    parts, offset = [], 0
    for name in sorted(tensors):
        data = tensors[name].to(torch.float32).contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape),
                        "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def config_json(config: Config, vocabulary: bpe.Bpe) -> dict[str, Any]:
    """config.json."""
    layers = ["linear_attention" if config.is_recurrent(i) else "full_attention"
              for i in range(config.layers)]
    return {
        "architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text",
        "vocab_size": config.vocab, "hidden_size": config.width,
        "num_hidden_layers": config.layers, "intermediate_size": config.feed_forward,
        "num_attention_heads": config.heads, "num_key_value_heads": config.heads_kv,
        "head_dim": config.head_size, "linear_num_key_heads": config.heads_k,
        "linear_num_value_heads": config.heads_v, "linear_key_head_dim": config.state,
        "linear_value_head_dim": config.state, "linear_conv_kernel_dim": config.taps,
        "full_attention_interval": config.interval, "layer_types": layers,
        "max_position_embeddings": config.context, "rms_norm_eps": config.eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base,
                            "partial_rotary_factor": config.rotated / config.head_size,
                            "mrope_section": [3, 3, 2]},
        "hidden_act": "silu", "attention_bias": False, "attn_output_gate": True,
        "tie_word_embeddings": True, "mtp_num_hidden_layers": 1,
        "eos_token_id": vocabulary.special["<|im_end|>"],
        "pad_token_id": vocabulary.special["<|endoftext|>"], "torch_dtype": "float32",
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replaces the file in one go."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def write_folder(folder: Path, model: Model, vocabulary: bpe.Bpe) -> None:
    """The whole folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", original_tensors(model))
    write_json(folder / "config.json", config_json(model.config, vocabulary))
    write_json(folder / "tokenizer.json", vocabulary.json())
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "add_bos_token": False, "model_max_length":
        model.config.context, "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE.read_text(encoding="utf-8")})
    write_json(folder / "generation_config.json", {
        "do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
        "eos_token_id": vocabulary.special["<|im_end|>"]})


def load(checkpoint: Path) -> Model:
    """The model of a checkpoint of train.py."""
    saved = torch.load(checkpoint, map_location="cpu")
    model = Model(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model


def main() -> None:
    """Exports what the command line names."""
    parser = argparse.ArgumentParser(description="Writes a checkpoint as a folder of files.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    vocabulary = bpe.load(str(arguments.checkpoint.with_name("tokenizer.json")))
    write_folder(arguments.folder, load(arguments.checkpoint), vocabulary)


if __name__ == "__main__":
    main()
