# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Compares the kernels with plain PyTorch: logits and gradients of a random model, on odd lengths too."""

import random

import torch

from documents import VOCABULARY, Mix, training_batch
from model import Config, Model

TOLERANCE = 1e-5


def relative_error(a, b):
    return ((a - b).norm() / b.norm()).item()


def gradients(model, logits, target):
    model.zero_grad()
    torch.nn.functional.cross_entropy(logits, target).backward()
    return [p.grad.clone() for p in model.parameters()]


def main():
    torch.manual_seed(1)
    model = Model(Config(len(VOCABULARY)))
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    worst = 0.0
    for length in (32, 61, 96, 131, 264):
        batch = training_batch(random.Random(1), 3, length, Mix(reach=4096))
        tokens, _, positions = map(torch.from_numpy, batch)
        target = tokens.roll(-1, 1).reshape(-1)
        fast, plain = model(tokens, positions), model.plain_forward(tokens, positions)
        errors = [relative_error(fast, plain)]
        for a, b in zip(gradients(model, fast, target), gradients(model, plain, target)):
            errors.append(relative_error(a, b))
        print(f"{length:4} tokens: logits {errors[0]:.1e}, worst gradient {max(errors[1:]):.1e}")
        worst = max(worst, *errors)
    if worst > TOLERANCE:
        raise SystemExit("the kernels differ from plain PyTorch")


if __name__ == "__main__":
    main()
