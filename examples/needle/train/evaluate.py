# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""How often a model answers exactly, in percent: needles x digits, the most visited city, and further tasks.

usage: evaluate.py WEIGHTS [--documents N] [--lengths 512 1024 ...] [--seed N] [--tasks pair hop list]
"""

import argparse
import os
import random

for library in ("OPENBLAS", "OMP", "MKL"):  # the tensors are tiny: threads only cost time
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import torch

from documents import city_document, hop_document, list_document, needle_document, pair_document
from weights import read_weights

TOKENS_AT_ONCE = 16384
FURTHER = {"pair": pair_document, "hop": hop_document, "list": list_document}


@torch.no_grad()
def exact_answers(model, documents):
    """Share of (prompt, answer) pairs whose answer is the most likely one, token after token."""
    right = 0
    per_batch = max(1, TOKENS_AT_ONCE // max(len(prompt) for prompt, _ in documents))
    for start in range(0, len(documents), per_batch):
        batch = documents[start : start + per_batch]
        longest = max(len(prompt) + len(answer) for prompt, answer in batch)
        longest += -longest % 8
        rows = torch.zeros(len(batch), longest, dtype=torch.long)
        selected = []
        for i, (prompt, answer) in enumerate(batch):
            rows[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
            selected += range(i * longest + len(prompt) - 1, i * longest + len(prompt) + len(answer) - 1)
        positions = torch.arange(longest).repeat(len(batch), 1)
        best = model(rows, positions, torch.tensor(selected)).argmax(1).tolist()
        for _, answer in batch:
            right += best[: len(answer)] == answer
            del best[: len(answer)]
    return right / len(documents)


def table(model, lengths, documents, needles=(1, 4), digits=(4, 6, 8), seed=7, tasks=()):
    """Yields one line of text per length."""
    rng = random.Random(seed)
    for length in lengths:
        cells = [f"{length:5} tokens:"]
        for n in needles:
            for d in digits:
                share = exact_answers(model, [needle_document(rng, length, n, d) for _ in range(documents)])
                cells.append(f"{n}x{d} {100 * share:5.1f}")
        if length >= 128:
            share = exact_answers(model, [city_document(rng, length) for _ in range(documents)])
            cells.append(f"city {100 * share:5.1f}")
        for task in tasks:
            share = exact_answers(model, [FURTHER[task](rng, length) for _ in range(documents)])
            cells.append(f"{task} {100 * share:5.1f}")
        yield "  ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tasks", nargs="*", default=[], choices=FURTHER)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = read_weights(options.weights)
    for line in table(model, options.lengths, options.documents, seed=options.seed, tasks=options.tasks):
        print(line, flush=True)


if __name__ == "__main__":
    main()
