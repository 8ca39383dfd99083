# SPDX-License-Identifier: MIT
"""The network in torch, written from the paper formulas (MODEL.md) and not from the engine.

Weights are kept as original checkpoints have them: norms multiply by 1 + w, the decay is A_log,
value heads are grouped by their key head. Any float type: training uses float32, check.py float64.
"""
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 64  # tokens of the delta rule that are solved together
SMALL = 16  # size of the blocks on the diagonal that are inverted row by row
# The embedding is also the head. It begins as large as what layers add to it, so that a token's own
# identity is not lost on the way up; the final norms begin small, so that logits do too.
EMBEDDING, FINAL_SCALE = 0.5, 0.05
COPIED = 0.3  # share of what attention looks at, at the beginning
FORGET = -60.0  # a log-decay that clears the state: e^-60 of it is below every rounding


@dataclass(frozen=True)
class Config:
    """The shape of the model; names as in MODEL.md."""
    vocab: int = 2048
    width: int = 256
    layers: int = 8
    feed_forward: int = 256
    heads: int = 4
    heads_kv: int = 2
    head_size: int = 64
    rotated: int = 16
    heads_k: int = 2
    heads_v: int = 4
    state: int = 64
    taps: int = 4
    interval: int = 4
    eps: float = 1e-6
    rope_base: float = 1e6
    context: int = 4096

    def is_recurrent(self, layer: int) -> bool:
        """Every interval-th layer has full attention."""
        return (layer + 1) % self.interval != 0


@dataclass
class Batch:
    """What layers need to know of the rows [B, T] besides their values."""
    documents: Tensor  # [B, T]: the number of the document that a token belongs to
    first: Tensor      # [B, T]: true for the first token of a document
    mask: Tensor       # [B, 1, T, T]: 0 where a token sees another, else -inf
    cosine: Tensor     # [T, rotated / 2]
    sine: Tensor

    def first_rows(self, count: int) -> "Batch":
        """The same for the first rows."""
        return replace(self, documents=self.documents[:count], first=self.first[:count],
                       mask=self.mask[:count])


def batch_of(documents: Tensor, config: Config, dtype: torch.dtype) -> Batch:
    """Tokens see those of their own document that stand before them."""
    rows, length = documents.shape
    first = torch.ones(rows, length, dtype=torch.bool)
    first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    sees = (documents[:, :, None] == documents[:, None, :]).tril()
    mask = torch.zeros(rows, 1, length, length, dtype=dtype)
    mask.masked_fill_(~sees[:, None], -math.inf)
    pairs = torch.arange(config.rotated // 2, dtype=torch.float64)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * (
        config.rope_base ** (-2 * pairs / config.rotated))
    return Batch(documents, first, mask, angles.cos().to(dtype), angles.sin().to(dtype))


class RmsNormFunction(torch.autograd.Function):
    """x / rms(x) * w with a backward pass of its own: autograd's takes twice the memory traffic."""

    @staticmethod
    def forward(context, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        scale = scale.div_(x.shape[-1]).add_(eps).rsqrt_()
        normed = x * scale
        context.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple:
        normed, scale, weight = context.saved_tensors
        product = gradient * normed
        by_weight = product.reshape(-1, weight.shape[0]).sum(0)
        mean = (product @ weight)[..., None] / weight.shape[0]
        by_x = torch.addcmul(gradient * weight, normed, mean, value=-1).mul_(scale)
        return by_x, by_weight, None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension."""
    return RmsNormFunction.apply(x, weight, eps)


class Norm(nn.Module):
    """RMSNorm that multiplies by 1 + weight."""

    def __init__(self, width: int, eps: float, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), scale - 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, 1 + self.weight, self.eps)


def matrix(rows: int, columns: int, gain: float = 1.0) -> nn.Parameter:
    """A matrix of normal numbers that keeps the size of its input, times `gain`."""
    return nn.Parameter(torch.randn(rows, columns) * gain / math.sqrt(columns))


def small_inverse(lower: Tensor) -> Tensor:
    """(I + lower)^-1 for strictly lower triangular [n, n, batch], row by row."""
    size = lower.shape[0]
    result = torch.zeros_like(lower)
    result[0, 0] = 1
    for row in range(1, size):
        result[row, :row] = -(lower[row, :row, None] * result[:row, :row]).sum(0)
        result[row, row] = 1
    return result


def unit_inverse(lower: Tensor) -> Tensor:
    """(I + lower)^-1 for strictly lower triangular [batch, n, n], by halves down to SMALL."""
    size = lower.shape[-1]
    if size <= SMALL:
        return small_inverse(lower.permute(1, 2, 0).contiguous()).permute(2, 0, 1)
    half = size // 2
    corners = torch.cat((lower[:, :half, :half], lower[:, half:, half:]))
    first, second = unit_inverse(corners).chunk(2)
    result = torch.zeros_like(lower)
    result[:, :half, :half] = first
    result[:, half:, half:] = second
    result[:, half:, :half] = -(second @ lower[:, half:, :half] @ first)
    return result


class UnitInverse(torch.autograd.Function):
    """unit_inverse with the derivative of an inverse: d(T) = -T d(lower) T."""

    @staticmethod
    def forward(context, lower: Tensor) -> Tensor:
        inverse = unit_inverse(lower)
        context.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        inverse, = context.saved_tensors
        transposed = inverse.transpose(-1, -2)
        return -(transposed @ gradient @ transposed).tril(-1)


def products_of_tokens(q: Tensor, k: Tensor, fade: Tensor) -> tuple[Tensor, Tensor]:
    """k.k and q.k for each pair of tokens of a chunk, faded; value heads of a group share q and k.

    q, k [B, G, N, C, S]; fade [B, G, r, N, C, C]. Returns two tensors of fade's shape.
    """
    both = torch.cat((k, q), -2).flatten(0, 2) @ k.flatten(0, 2).transpose(1, 2)
    both = both.view(*q.shape[:3], 2, q.shape[3], q.shape[3]).unsqueeze(2)
    return both[..., 0, :, :] * fade, both[..., 1, :, :] * fade


def delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, decay: Tensor) -> Tensor:
    """The gated delta rule by chunks (MODEL.md 10) from an empty state.

    q, k [B, G, N, C, S] for G key heads, N chunks of C tokens, with unit k and scaled q; v
    [B, G, r, N, C, S]; beta, decay (logarithms) [B, G, r, N, C]. Returns what each token reads,
    shaped as v. Every exponent is <= 0, and masked before exp.
    """
    groups, (chunks, size, width) = v.shape[:3], v.shape[3:]
    total = decay.cumsum(-1)
    upper = torch.ones(size, size, dtype=torch.bool).triu(1)
    between = total[..., :, None] - total[..., None, :]
    fade = between.masked_fill(upper, -math.inf).exp()
    gram, reads = products_of_tokens(q, k, fade)
    inverse = UnitInverse.apply((gram * beta[..., None]).tril(-1).flatten(0, 3))
    q, k = q.unsqueeze(2), k.unsqueeze(2)
    since = total.exp()[..., None]
    right = torch.cat((v * beta[..., None], k * (beta[..., None] * since)), -1)
    solved = inverse @ right.flatten(0, 3)
    until = (total[..., -1:] - total).exp()[..., None]
    k_end = (k * until).flatten(0, 3).transpose(1, 2)
    adds, drops = (k_end @ solved).view(-1, chunks, width, 2 * width).split(width, -1)
    keep = since[..., -1:, :].flatten(0, 2)
    state = torch.zeros_like(adds[:, 0])
    states = [state]
    for n in range(chunks - 1):
        state = torch.baddbmm(state * keep[:, n] + adds[:, n], drops[:, n], state, alpha=-1)
        states.append(state)
    own, told = solved.split(width, -1)
    asked = torch.cat((told, (q * since).flatten(0, 3)), 1)
    expected, read = (asked @ torch.stack(states, 1).flatten(0, 1)).split(size, 1)
    result = torch.baddbmm(read, reads.flatten(0, 3), own - expected)
    return result.view(*groups, chunks, size, width)


class DeltaNet(nn.Module):
    """A recurrent layer: short convolution, gated delta rule, gated norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        keys, values = config.heads_k * config.state, config.heads_v * config.state
        self.in_proj_qkv = matrix(2 * keys + values, config.width)
        self.in_proj_z = matrix(values, config.width)
        self.in_proj_b = matrix(config.heads_v, config.width, 0.5)
        self.in_proj_a = matrix(config.heads_v, config.width, 0.5)
        self.conv1d = nn.Parameter(torch.randn(2 * keys + values, config.taps) * 0.2)
        self.begin_with_copying()
        # Heads that forget within three tokens up to within five hundred: every span is at hand.
        rates = torch.logspace(-2.7, -0.5, config.heads_v)
        self.A_log = nn.Parameter(torch.zeros(config.heads_v))
        self.dt_bias = nn.Parameter(rates.expm1().log())
        self.norm = nn.Parameter(torch.ones(config.state))
        self.out_proj = matrix(config.width, values, 0.1)

    @torch.no_grad()
    def begin_with_copying(self) -> None:
        """Channels begin as their own last token, but the first head's keys as the token before it,
        through the matrix of its queries: what it reads then is what followed the same token
        earlier."""
        size, keys = self.config.state, self.config.heads_k * self.config.state
        first = slice(keys, keys + size)
        self.in_proj_qkv[first] = self.in_proj_qkv[:size]
        self.conv1d[:, -1] += 0.7
        self.conv1d[first] = self.conv1d[:size].roll(-1, 1)

    def convolve(self, u: Tensor, batch: Batch) -> Tensor:
        """Each channel's sum over the last tokens of the same document, through silu."""
        taps = self.config.taps
        result = u * self.conv1d[:, -1]
        for back in range(1, taps):
            same = (batch.documents[:, back:] == batch.documents[:, :-back])[..., None]
            earlier = u[:, :-back] * (self.conv1d[:, taps - 1 - back] * same)
            result = result + functional.pad(earlier, (0, 0, back, 0))
        return functional.silu(result)

    def heads(self, x: Tensor, count: int) -> Tensor:
        """[B, T, count * width] as [B, count, N, CHUNK, width]."""
        rows, length, _ = x.shape
        return x.view(rows, length // CHUNK, CHUNK, count, -1).permute(0, 3, 1, 2, 4)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        c = self.config
        keys, values = c.heads_k * c.state, c.heads_v * c.state
        weight = torch.cat((self.in_proj_qkv, self.in_proj_z, self.in_proj_b, self.in_proj_a))
        u, z, b, a = (x @ weight.T).split((2 * keys + values, values, c.heads_v, c.heads_v), -1)
        q, k, v = self.convolve(u, batch).split((keys, keys, values), -1)
        decay = -self.A_log.exp() * functional.softplus(a + self.dt_bias)
        decay = decay.masked_fill(batch.first[..., None], FORGET)
        q = functional.normalize(self.heads(q, c.heads_k), dim=-1, eps=c.eps) / math.sqrt(c.state)
        k = functional.normalize(self.heads(k, c.heads_k), dim=-1, eps=c.eps)
        # Value heads of one key head stand beside each other.
        v, beta, decay = (self.heads(t, c.heads_v).unflatten(1, (c.heads_k, -1))
                          for t in (v, torch.sigmoid(b), decay))
        read = delta_rule(q, k, v, beta.squeeze(-1), decay.squeeze(-1)).flatten(1, 2)
        rows, length, _ = x.shape
        read = read.permute(0, 2, 3, 1, 4).reshape(rows, length, c.heads_v, c.state)
        read = rms_norm(read, self.norm, c.eps) * functional.silu(z).view_as(read)
        return read.reshape(rows, length, values) @ self.out_proj.T


def rotate(x: Tensor, batch: Batch) -> Tensor:
    """RoPE on the first elements of each head of [B, H, T, d_h]; pairs are half of them apart."""
    half = batch.cosine.shape[-1]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    turned = (a * batch.cosine - b * batch.sine, a * batch.sine + b * batch.cosine, rest)
    return torch.cat(turned, -1)


class Attention(nn.Module):
    """Full attention with norms of queries and keys and a gate on the output."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.head_size
        self.q_proj = matrix(2 * config.heads * size, width)
        self.k_proj = matrix(config.heads_kv * size, width)
        self.v_proj = matrix(config.heads_kv * size, width)
        # What is read begins as a copy of what was looked at, since the head is the embedding.
        copies = self.v_proj.detach().view(config.heads_kv, 1, size, width)
        copies = copies.expand(-1, config.heads // config.heads_kv, -1, -1).reshape(-1, width)
        self.o_proj = nn.Parameter(copies.T * COPIED)
        self.q_norm = Norm(size, config.eps)
        self.k_norm = Norm(size, config.eps)

    def project(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scaled queries [B, heads, T, d_h], keys and values [B, heads_kv, T, d_h], and what gates
        the result [B, T, heads, d_h]."""
        c = self.config
        rows, length, _ = x.shape
        q, gate = (x @ self.q_proj.T).view(rows, length, c.heads, 2, c.head_size).unbind(3)
        k = (x @ self.k_proj.T).view(rows, length, c.heads_kv, c.head_size)
        v = (x @ self.v_proj.T).view(rows, length, c.heads_kv, c.head_size).transpose(1, 2)
        q = rotate(self.q_norm(q).transpose(1, 2), batch) / math.sqrt(c.head_size)
        return q, rotate(self.k_norm(k).transpose(1, 2), batch), v, gate

    def by_key_head(self, heads: Tensor) -> Tensor:
        """[B, heads, T, n] as [B, heads_kv, r T, n]: query heads of one key head stand beside each
        other and become more rows of one product."""
        return heads.reshape(heads.shape[0], self.config.heads_kv, -1, heads.shape[-1])

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """[B, heads, T, T], not masked."""
        products = self.by_key_head(q) @ k.transpose(-1, -2)
        return products.view(*q.shape[:3], k.shape[2])

    def read(self, weights: Tensor, v: Tensor) -> Tensor:
        """Sums of values [B, heads, T, d_h]."""
        return (self.by_key_head(weights) @ v).view(*weights.shape[:3], v.shape[3])

    def output(self, read: Tensor, gate: Tensor) -> Tensor:
        """Through gate and matrix."""
        return (read.transpose(1, 2) * torch.sigmoid(gate)).flatten(2) @ self.o_proj.T

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q, k, v, gate = self.project(x, batch)
        weights = torch.softmax(self.scores(q, k) + batch.mask, -1)
        return self.output(self.read(weights, v), gate)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = matrix(config.feed_forward, config.width)
        self.up_proj = matrix(config.feed_forward, config.width)
        self.down_proj = matrix(config.width, config.feed_forward, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return (functional.silu(x @ self.gate_proj.T) * (x @ self.up_proj.T)) @ self.down_proj.T


class Block(nn.Module):
    """A mixer and a feed-forward net, each behind a norm and added to what came in."""

    def __init__(self, config: Config, recurrent: bool) -> None:
        super().__init__()
        self.input_layernorm = Norm(config.width, config.eps)
        self.post_attention_layernorm = Norm(config.width, config.eps)
        self.mixer = DeltaNet(config) if recurrent else Attention(config)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.mixer(self.input_layernorm(x), batch)
        return x + self.mlp(self.post_attention_layernorm(x))


class Mtp(nn.Module):
    """The block of multi-token prediction: from a token and the hidden row before it, the next."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.pre_fc_norm_embedding = Norm(config.width, config.eps)
        self.pre_fc_norm_hidden = Norm(config.width, config.eps)
        self.fc = matrix(config.width, 2 * config.width)
        self.block = Block(config, recurrent=False)
        self.norm = Norm(config.width, config.eps, FINAL_SCALE)

    def forward(self, embedded: Tensor, hidden: Tensor, batch: Batch) -> Tensor:
        """The block's own hidden rows; `hidden` holds the row before each token."""
        return self.norm(self.block(self.join(embedded, hidden), batch))

    def join(self, embedded: Tensor, hidden: Tensor) -> Tensor:
        """What the block reads: embedding first, hidden row second."""
        e, h = self.pre_fc_norm_embedding(embedded), self.pre_fc_norm_hidden(hidden)
        return torch.cat((e, h), -1) @ self.fc.T


class Model(nn.Module):
    """The trunk and the block of multi-token prediction; the head is the embedding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Parameter(torch.randn(config.vocab, config.width) * EMBEDDING)
        self.layers = nn.ModuleList(Block(config, config.is_recurrent(i))
                                    for i in range(config.layers))
        self.norm = Norm(config.width, config.eps, FINAL_SCALE)
        self.mtp = Mtp(config)

    def embed(self, tokens: Tensor) -> Tensor:
        """Rows of the table."""
        return functional.embedding(tokens, self.embed_tokens)

    def hidden(self, tokens: Tensor, batch: Batch) -> Tensor:
        """Hidden rows after the final norm: what the head and the MTP block read."""
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, batch)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Of hidden rows of trunk or MTP block."""
        return hidden @ self.embed_tokens.T


def moved_by_one(hidden: Tensor, batch: Batch) -> Tensor:
    """The row before each token; zeros before the first token of a document."""
    before = functional.pad(hidden[:, :-1], (0, 0, 1, 0))
    return before.masked_fill(batch.first[..., None], 0)
