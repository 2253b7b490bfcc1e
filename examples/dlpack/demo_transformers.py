# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Llama of Hugging Face's transformers, tiny and with random weights, computes from a compressed DynamicCache what
it computes from the full one with the evicted tokens masked out. Nothing is downloaded. Exits 1 if not."""

from __future__ import annotations

import sys

import torch
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

import windowkv

PROMPT, STEPS, BUDGET = 500, 8, 80

queries: dict[int, torch.Tensor] = {}  # of the last prefill, by layer, after RoPE
visible: dict[int, torch.Tensor] = {}  # for the reference only: slots of the prompt that each layer may look at


def attention(module, query, key, value, mask, **kwargs):
    if query.shape[2] > 1:
        queries[module.layer_idx] = query[:, :, -32:].clone()
    elif visible:
        mask = torch.ones(key.shape[2], dtype=torch.bool)
        mask[:PROMPT] = visible[module.layer_idx]
        mask = mask[None, None, None]
    return sdpa_attention_forward(module, query, key, value, mask, **kwargs)


def new_model(dtype: torch.dtype) -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=256, hidden_size=128, intermediate_size=256, num_hidden_layers=6, num_attention_heads=8,
        num_key_value_heads=2, max_position_embeddings=1024, initializer_range=0.15, use_cache=True,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(dtype).eval()
    AttentionInterface.register("windowkv", attention)
    AttentionMaskInterface.register("windowkv", sdpa_mask)
    model.set_attn_implementation("windowkv")
    return model


def decode(model: LlamaForCausalLM, cache: DynamicCache, tokens: torch.Tensor) -> torch.Tensor:
    """Logits [STEPS, vocabulary] of given tokens, one by one; positions go on from the prompt's length. Given, for
    with greedy ones a rounding error in one step would make the next ones incomparable."""
    logits = []
    for step in range(STEPS):
        position = torch.tensor([[PROMPT + step]])
        out = model(tokens[:, step : step + 1], past_key_values=cache, position_ids=position)
        logits.append(out.logits[0, -1].float())
    return torch.stack(logits)


def cache_of(keys: list[torch.Tensor], values: list[torch.Tensor], lengths: list[int]) -> DynamicCache:
    cache = DynamicCache()
    for layer, n in enumerate(lengths):
        cache.update(keys[layer][:, :, :n].clone(), values[layer][:, :, :n].clone(), layer)
    return cache


@torch.no_grad()
def check(dtype: torch.dtype, method: str, task: str, limit: float) -> bool:
    model = new_model(dtype)
    visible.clear()
    tokens = torch.randint(0, 256, (1, PROMPT + STEPS))
    prefilled = DynamicCache()
    model(tokens[:, :PROMPT], past_key_values=prefilled)
    keys = [layer.keys.clone() for layer in prefilled.layers]
    values = [layer.values.clone() for layer in prefilled.layers]
    everything = [PROMPT] * len(keys)
    full_keys, full_values = [k.clone() for k in keys], [v.clone() for v in values]

    report = windowkv.compress(
        keys, values, [queries[layer] for layer in range(len(keys))],
        budget=BUDGET, task=task, method=method, layers_per_group=2, with_positions=True,
    )  # fmt: skip
    lengths = [n for (n,) in report.lengths]
    compressed = decode(model, cache_of(keys, values, lengths), tokens[:, PROMPT:])
    full = decode(model, cache_of(full_keys, full_values, everything), tokens[:, PROMPT:])
    for layer, (kept,) in enumerate(report.positions):
        visible[layer] = torch.zeros(PROMPT, dtype=torch.bool)
        visible[layer][kept] = True
    masked = decode(model, cache_of(full_keys, full_values, everything), tokens[:, PROMPT:])

    error, distance = ((x - masked).norm() / masked.norm() for x in (compressed, full))
    same = (compressed.argmax(-1) == masked.argmax(-1)).sum()
    print(
        f"{str(dtype):15} {method:8} {task:13} kept {lengths} of {PROMPT}; against masks {error:.1e} "
        f"({same} of {STEPS} next tokens), against all tokens {distance:.1e}"
    )
    return bool(error < limit < distance / 3)


def main() -> int:
    results = [
        check(dtype, method, task, limit)
        for dtype, limit in ((torch.float32, 1e-4), (torch.bfloat16, 5e-2))
        for method in windowkv.METHODS
        for task in windowkv.TASKS
    ]
    print("ok" if all(results) else "FAILED")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
