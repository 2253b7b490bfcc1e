# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The tiny Llama-style model. Parameter names are the tensor names in the weights file."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from kernels import HEAD_SIZE, RmsNorm, RopeAttention

TOKEN_BLOCK = 8  # the attention kernel wants a multiple of it
EPSILON = 1e-6


@dataclass
class Config:
    vocabulary: int
    width: int = 64
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 128
    theta: float = 5e5


def matrix(rows, columns, scale=1.0):
    return nn.Parameter(torch.randn(rows, columns) * scale / math.sqrt(columns))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        into_residual = 1 / math.sqrt(2 * c.layers)
        self.n1 = nn.Parameter(torch.ones(c.width))
        self.n2 = nn.Parameter(torch.ones(c.width))
        self.wqkv = matrix((c.heads + 2 * c.kv_heads) * HEAD_SIZE, c.width)
        self.wo = matrix(c.width, c.heads * HEAD_SIZE, into_residual)
        self.wgu = matrix(2 * c.hidden, c.width)
        self.wd = matrix(c.width, c.hidden, into_residual)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.config = config
        self.emb = nn.Parameter(torch.randn(c.vocabulary, c.width))
        self.head = matrix(c.vocabulary, c.width, 0.5)
        self.nf = nn.Parameter(torch.ones(c.width))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.frequencies = c.theta ** (-torch.arange(0, HEAD_SIZE, 2) / HEAD_SIZE)

    def angles(self, positions):
        """Cosines, then sines, of each position: (batch * tokens, HEAD_SIZE)."""
        a = positions.reshape(-1, 1) * self.frequencies
        return torch.cat([a.cos(), a.sin()], 1).contiguous()

    def forward(self, tokens, positions, selected=None):
        """Logits of the `selected` tokens (indices into batch * tokens); of all when None."""
        batch, length = tokens.shape
        padding = -length % TOKEN_BLOCK
        if padding and selected is not None:
            raise ValueError(f"with a selection, the length must be a multiple of {TOKEN_BLOCK}")
        tokens, positions = F.pad(tokens, (0, padding)), F.pad(positions, (0, padding))
        shape = (batch, length + padding, self.config.heads, self.config.kv_heads)
        angles = self.angles(positions)
        x = F.embedding(tokens.reshape(-1), self.emb)
        for b in self.blocks:
            qkv = torch.mm(RmsNorm.apply(x, b.n1), b.wqkv.t())
            x = torch.addmm(x, RopeAttention.apply(qkv, angles, *shape), b.wo.t())
            gate, up = torch.mm(RmsNorm.apply(x, b.n2), b.wgu.t()).chunk(2, -1)
            x = torch.addmm(x, F.silu(gate) * up, b.wd.t())
        if selected is None:
            x = x.view(batch, -1, self.config.width)[:, :length].reshape(batch * length, -1)
        else:
            x = x[selected]
        return torch.mm(RmsNorm.apply(x, self.nf), self.head.t())

    def plain_forward(self, tokens, positions):
        """The same without the kernels: what check_kernels.py compares with."""
        c = self.config
        batch, length = tokens.shape
        cosine, sine = self.angles(positions).view(batch, 1, length, HEAD_SIZE).chunk(2, -1)
        future = torch.full((length, length), -1e30).triu(1)

        def norm(x, gain):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * gain

        def rope(x):
            a, b = x.chunk(2, -1)
            return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)

        x = self.emb[tokens]
        for b in self.blocks:
            qkv = (norm(x, b.n1) @ b.wqkv.t()).view(batch, length, -1, HEAD_SIZE).transpose(1, 2)
            q, k, v = qkv.split([c.heads, c.kv_heads, c.kv_heads], 1)
            k, v = (t.repeat_interleave(c.heads // c.kv_heads, 1) for t in (rope(k), v))
            scores = rope(q) @ k.transpose(2, 3) / math.sqrt(HEAD_SIZE) + future
            x = x + (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1) @ b.wo.t()
            gate, up = (norm(x, b.n2) @ b.wgu.t()).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ b.wd.t()
        return (norm(x, self.nf) @ self.head.t()).view(batch * length, -1)
