# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The kernels of kernels.cpp as differentiable PyTorch functions (float, CPU, contiguous)."""

import ctypes
import os
import subprocess
import tempfile

import torch

HEAD_SIZE = 16  # the kernels know no other


def _load():
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.cpp")
    compiler = os.environ.get("CXX", "g++")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "kernels.so")
        flags = "-std=c++17 -O3 -march=native -ffast-math -Wno-psabi -shared -fPIC".split()
        subprocess.run([compiler, *flags, "-o", library, source], check=True)
        return ctypes.CDLL(library)


_library = _load()


def _argument(value):
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value) if isinstance(value, float) else value  # ctypes passes an int as a C int


def _call(name, *arguments):
    getattr(_library, name)(*map(_argument, arguments))


def _rows(x):
    return ctypes.c_long(x.numel() // x.shape[-1])


class RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gain):
        y = torch.empty_like(x)
        inverse_rms = x.new_empty(x.shape[:-1])
        _call("rms_norm_forward", x, gain, y, inverse_rms, _rows(x), x.shape[-1])
        ctx.save_for_backward(x, gain, inverse_rms)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, gain, inverse_rms = ctx.saved_tensors
        dx, d_gain = torch.empty_like(x), torch.empty_like(gain)
        _call("rms_norm_backward", x, gain, inverse_rms, dy.contiguous(), dx, d_gain, _rows(x), x.shape[-1])
        return dx, d_gain


class RopeAttention(torch.autograd.Function):
    """RoPE and causal grouped-query attention on rows of q heads, k heads, v heads.

    Rotates `qkv` in place: nothing else may read it. tokens must be a multiple of 8.
    """

    @staticmethod
    def forward(ctx, qkv, angles, batch, tokens, heads, kv_heads):
        qkv = qkv.detach()
        _call("rope", qkv, angles, _rows(qkv), heads + kv_heads, qkv.shape[-1], 1.0)
        out = qkv.new_empty(batch * tokens, heads * HEAD_SIZE)
        log_sums = qkv.new_empty(batch, heads, tokens)
        ctx.shape = batch, tokens, heads, kv_heads
        _call("attention_forward", qkv, out, log_sums, *ctx.shape)
        ctx.save_for_backward(qkv, angles, out, log_sums)
        return out

    @staticmethod
    def backward(ctx, d_out):
        qkv, angles, out, log_sums = ctx.saved_tensors
        _, _, heads, kv_heads = ctx.shape
        d_qkv = torch.zeros_like(qkv)
        _call("attention_backward", qkv, out, log_sums, d_out.contiguous(), d_qkv, *ctx.shape)
        _call("rope", d_qkv, angles, _rows(d_qkv), heads + kv_heads, d_qkv.shape[-1], -1.0)
        return d_qkv, None, None, None, None, None
