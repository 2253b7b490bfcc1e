# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Shapes, budgets, random caches, timing and output of the peers; the same shapes as benchmarks/cuda_stages.cu."""

import argparse
import dataclasses
import json
import statistics
import time

import torch

WINDOW = 8
BETA = 14


@dataclasses.dataclass(frozen=True)
class Model:
    layers: int
    query_heads: int
    kv_heads: int
    head_dim: int
    layers_per_group: int


MODELS = {
    "Llama-3-8B": Model(32, 32, 8, 128, 8),
    "Qwen2.5-1.5B": Model(28, 12, 2, 128, 7),
    "Llama-3-70B": Model(80, 64, 8, 128, 8),
    "tiny": Model(4, 8, 2, 32, 2),
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """`top` best tokens of a window count; WINDOW of them is the mean."""

    suffix: int
    top: int


RULES = {"mean": Rule(16, WINDOW), "top4": Rule(32, WINDOW // 2)}


def kept_windows(model, tokens, capacity, rule):
    """Windows that each group keeps: whole windows are dropped until the budget is met."""
    groups = model.layers // model.layers_per_group
    last = capacity * model.layers_per_group // BETA
    first = 2 * capacity - last
    step = (first - last) // (groups - 1)
    budgets = [first - i * step for i in range(groups - 1)] + [last]
    review = tokens - rule.suffix
    windows = -(-review // WINDOW)
    return [windows - max(0, -(-(review - b) // WINDOW)) for b in budgets]


class Caches:
    """Random queries [Hq, S, D], keys and values [H, N, D]. Layers take turns on `resident` caches: nothing is
    compacted in place here, and more of them than the L2 cache holds is all that matters for time."""

    def __init__(self, model, tokens, suffix, device, dtype, heads, resident):
        shape = (heads, tokens, model.head_dim)

        def make(*size):
            return [torch.randn(size, device=device, dtype=dtype) for _ in range(resident)]

        self.queries = make(model.query_heads, suffix, model.head_dim)
        self.keys = make(*shape)
        self.values = make(*shape)

    def layer(self, index):
        i = index % len(self.keys)
        return self.queries[i], self.keys[i], self.values[i]


def milliseconds(work, device, repetitions):
    """Median, and all samples, after one call that warms up."""
    work()
    samples = []
    for _ in range(repetitions):
        if device.type == "cuda":
            torch.cuda.synchronize()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            torch.cuda.synchronize()
            samples.append(begin.elapsed_time(end))
        else:
            begin = time.perf_counter()
            work()
            samples.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(samples), samples


def parse_arguments(description, lengths, repetitions):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--models", default=None, help="comma-separated; default: all on cuda, tiny on cpu")
    parser.add_argument("--lengths", default=None, help="comma-separated numbers of tokens")
    parser.add_argument("--budget", type=int, default=None, help="tokens per layer; default: 2048, on cpu 64")
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--out", default=None, help="JSON file; default: standard output")
    options = parser.parse_args()
    is_cuda = options.device == "cuda"
    if is_cuda and not torch.cuda.is_available():
        parser.exit(3, "no CUDA device: nothing was measured\n")
    default_models = [name for name in MODELS if name != "tiny"] if is_cuda else ["tiny"]
    options.models = options.models.split(",") if options.models else default_models
    options.lengths = [int(n) for n in options.lengths.split(",")] if options.lengths else lengths if is_cuda else [400]
    options.budget = options.budget or (2048 if is_cuda else 64)
    options.device = torch.device(options.device)
    options.dtype = torch.bfloat16 if is_cuda else torch.float32
    return options


def write(options, peer, results):
    out = {
        "peer": peer,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if options.device.type == "cuda" else "cpu",
        "budget": options.budget,
        "results": results,
    }
    text = json.dumps(out, indent=1)
    if options.out:
        with open(options.out, "w") as file:
            file.write(text + "\n")
    else:
        print(text)


def measure(options, peer, heads_of, resident, compress):
    """compress(caches, model, rule, kept) does a whole model."""
    torch.manual_seed(7)
    results = []
    for name in options.models:
        model = MODELS[name]
        for tokens in options.lengths:
            for rule_name, rule in RULES.items():
                kept = kept_windows(model, tokens, options.budget, rule)
                result = {"model": name, "tokens": tokens, "rule": rule_name}
                try:
                    caches = Caches(
                        model, tokens, rule.suffix, options.device, options.dtype, heads_of(model), resident
                    )
                    with torch.no_grad():
                        median, samples = milliseconds(
                            lambda: compress(caches, model, rule, kept), options.device, options.repetitions
                        )
                    result.update(median_ms=median, samples_ms=samples)
                except torch.cuda.OutOfMemoryError:
                    result["error"] = "out of memory"
                caches = None
                if options.device.type == "cuda":
                    torch.cuda.empty_cache()
                results.append(result)
                if options.out:
                    write(options, peer, results)  # what there is, if time runs out
    if not options.out:
        write(options, peer, results)
