# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Trains the tiny model of the needle example on the CPU: one process per core, which add up their gradients.

usage: train.py --out FOLDER [--seed N] [--processes N] [--init WEIGHTS] [--phases FIRST END] [--layers N]
                [--tasks pair hop list]
Writes FOLDER/log.txt and, after every phase, FOLDER/tinylm.fp16.bin.
"""

import argparse
import math
import os
import random
import resource
import time
from dataclasses import dataclass

for library in ("OPENBLAS", "OMP", "MKL"):  # one thread per process: the tensors are tiny
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from documents import ANSWER_WEIGHT, COMMON_WORDS, FIRST_WEIGHT, TASKS, VOCABULARY, Mix, training_batch
from evaluate import table
from model import Config, Model
from weights import read_weights, write_weights

LOG_EVERY = 50  # steps
WARM_UP = 100  # steps


@dataclass
class Phase:
    steps: int
    length: int  # tokens in a document
    documents: int  # per step, over all processes
    mix: Mix


# Short documents come first: to copy, and to find the right name among several, is learned there, cheaply.
# The second comes much sooner when half of the questions are restated facts. Positions that jump, up to
# `reach`, prepare for long documents, of which few are then needed.
CURRICULUM = [
    Phase(1800, 96, 16, Mix(facts=(2, 4), copies=0.15, cities=0.0, restated=0.5)),
    Phase(1500, 128, 24, Mix(facts=(1, 6), copies=0.05, cities=0.4, restated=0.1, reach=2048)),
    Phase(1200, 256, 16, Mix(facts=(1, 8), copies=0.02, cities=0.4, reach=4096)),
    Phase(1000, 512, 8, Mix(facts=(1, 10), cities=0.4, reach=4096)),
    Phase(800, 1024, 6, Mix(facts=(1, 12), cities=0.4, reach=4096)),
    Phase(250, 2048, 4, Mix(facts=(1, 12), cities=0.4, reach=4608)),
    # So far the digits after the first are copied by the digits before them. Facts that begin alike teach to
    # keep to the name.
    Phase(3000, 128, 16, Mix(facts=(2, 6), cities=0.2, lookalikes=1.0, reach=4096)),
    Phase(400, 256, 16, Mix(facts=(1, 8), cities=0.4, lookalikes=0.5, reach=4096)),
    Phase(250, 512, 8, Mix(facts=(1, 10), cities=0.4, lookalikes=0.5, reach=4096)),
    Phase(250, 1024, 6, Mix(facts=(1, 12), cities=0.4, lookalikes=0.5, reach=4096)),
    Phase(60, 2048, 4, Mix(facts=(1, 12), cities=0.4, lookalikes=0.5, reach=4608)),
]
# With further tasks (--tasks): shorter, and facts that begin alike come early.
FURTHER_CURRICULUM = [
    Phase(2000, 96, 16, Mix(facts=(2, 4), copies=0.15, cities=0.0, restated=0.5)),
    Phase(1200, 128, 24, Mix((2, 6), 0.05, 0.4, restated=0.2, lookalikes=0.3, reach=2048, further=0.5)),
    Phase(1500, 128, 24, Mix((2, 6), cities=0.5, lookalikes=0.5, reach=4096, further=0.5)),
    Phase(800, 256, 12, Mix((2, 8), cities=0.5, lookalikes=0.5, reach=4096, further=0.5)),
    Phase(400, 512, 8, Mix((2, 10), cities=0.5, lookalikes=0.5, reach=4096, further=0.5)),
    Phase(250, 1024, 6, Mix((2, 12), cities=0.5, lookalikes=0.5, reach=4096, further=0.5)),
    Phase(50, 2048, 4, Mix((2, 12), cities=0.5, lookalikes=0.5, reach=4608, further=0.5)),
    # For a second training, where the first left digits or cities to be learned.
    Phase(3000, 128, 16, Mix((2, 6), cities=0.4, lookalikes=1.0, reach=4096, further=0.3)),
    Phase(300, 256, 12, Mix((2, 8), cities=0.6, lookalikes=0.5, reach=4096, further=0.4)),
    Phase(200, 512, 8, Mix((2, 10), cities=0.6, lookalikes=0.5, reach=4096, further=0.4)),
    Phase(150, 1024, 6, Mix((2, 12), cities=0.6, lookalikes=0.5, reach=4096, further=0.4)),
    Phase(40, 2048, 4, Mix((2, 12), cities=0.6, lookalikes=0.5, reach=4608, further=0.4)),
]


class Team:
    """What the processes share: a row of gradients and statistics each."""

    def __init__(self, processes, parameters):
        self.processes = processes
        self.barrier = mp.get_context("fork").Barrier(processes)
        self.rows = torch.zeros(processes, parameters).share_memory_()

    def average(self, rank, values):
        """Replaces `values` by their mean over the processes."""
        self.barrier.wait()  # the others have read the last one
        self.rows[rank, : len(values)].copy_(values)
        self.barrier.wait()
        values.copy_(self.rows[:, : len(values)].mean(0))


def gather_gradients(model):
    """Makes the gradients of all parameters views of one flat tensor, which is returned."""
    parameters = list(model.parameters())
    flat = torch.zeros(sum(p.numel() for p in parameters))
    for p, piece in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad = piece.view(p.shape)
    return flat


def make_optimizer(model, options):
    decayed = [p for name, p in model.named_parameters() if p.dim() == 2 and name not in ("emb", "head")]
    others = [p for p in model.parameters() if all(p is not d for d in decayed)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98))


def learning_rate_factor(step, total):
    """Warm-up, constant, and over the second half a cosine down to a tenth."""
    done = step / total
    cosine = 1.0 if done < 0.5 else 0.1 + 0.45 * (1 + math.cos(math.pi * (2 * done - 1)))
    return cosine * min(1.0, (step + 1) / WARM_UP)


def loss_of(model, rng, count, phase):
    """Mean weighted loss of a new batch, and the accuracy on first and other tokens of the answers."""
    batch = training_batch(rng, count, phase.length, phase.mix)
    tokens, weights, positions = map(torch.from_numpy, batch)
    weights = F.pad(weights[:, 1:], (0, 1)).reshape(-1)  # of predicting the next token
    target = tokens.roll(-1, 1).reshape(-1)
    selected = weights.nonzero().squeeze(1)
    weights, target = weights[selected], target[selected]
    logits = model(tokens, positions, selected)
    losses = F.cross_entropy(logits, target, reduction="none")
    right = (logits.argmax(1) == target).float()
    shares = [right[weights == kind].mean() for kind in (FIRST_WEIGHT, ANSWER_WEIGHT)]
    return (losses * weights).sum() / weights.sum(), shares


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Log:
    """Prints, and writes to FOLDER/log.txt, in the first process only."""

    def __init__(self, rank, folder):
        self.file = open(os.path.join(folder, "log.txt"), "w") if rank == 0 else None

    def __call__(self, text):
        if self.file:
            print(text, flush=True)
            print(text, file=self.file, flush=True)


def work(rank, team, model, phases, options):
    """What each process does; the first one also reports."""
    torch.set_num_threads(1)
    log = Log(rank, options.out)
    rng = random.Random(1000 * options.seed + rank)
    gradient = gather_gradients(model)
    optimizer = make_optimizer(model, options)
    total = sum(p.steps for p in phases)
    begin, cpu_begin = time.time(), cpu_seconds()
    step = tokens = 0
    statistics = torch.zeros(4)  # loss, accuracy of first and other tokens of answers, CPU seconds
    log(f"{len(gradient)} parameters, {total} steps, {options}")
    for number, phase in enumerate(phases, options.phases[0]):
        log(f"phase {number}: {phase}")
        count = max(1, phase.documents // team.processes)
        for _ in range(phase.steps):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * learning_rate_factor(step, total)
            gradient.zero_()
            loss, shares = loss_of(model, rng, count, phase)
            loss.backward()
            team.average(rank, gradient)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            tokens += count * team.processes * phase.length
            statistics[:3] += torch.stack([loss.detach(), *shares]) / LOG_EVERY
            if step % LOG_EVERY == 0:
                statistics[3] = cpu_seconds() - cpu_begin
                team.average(rank, statistics)
                log(
                    f"step {step:4} length {phase.length:4} loss {statistics[0]:.3f} first tokens right "
                    f"{100 * statistics[1]:5.1f} % others {100 * statistics[2]:5.1f} % "
                    f"lr {group['lr']:.1e} {tokens / 1e6:5.2f} M tokens "
                    f"{time.time() - begin:4.0f} s, CPU {statistics[3] * team.processes:4.0f} s"
                )
                statistics.zero_()
        if rank == 0:
            write_weights(os.path.join(options.out, "tinylm.fp16.bin"), model)
            log("exact answers, %: needles x digits")
            for line in table(model, sorted({128, phase.length, 1024}), 32, digits=(6,), tasks=options.tasks):
                log(line)
        team.barrier.wait()
    for line in table(model, (512, 1024, 2048, 4096), 20, tasks=options.tasks) if rank == 0 else ():
        log(line)
    usage = torch.tensor([cpu_seconds() - cpu_begin])
    team.average(rank, usage)
    log(f"done: {time.time() - begin:.0f} s, CPU {usage.item() * team.processes:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder for the log and the weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--init", help="weights to start from")
    parser.add_argument(
        "--phases", type=int, nargs=2, default=[0, 99], metavar=("FIRST", "END"), help="half-open"
    )
    parser.add_argument("--layers", type=int, default=8, help="of a new model")
    parser.add_argument("--tasks", nargs="*", default=[], choices=TASKS, help="with another curriculum")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the steps of every phase")
    options = parser.parse_args()

    os.makedirs(options.out, exist_ok=True)
    torch.manual_seed(options.seed)
    words = VOCABULARY if {"hop", "list"} & set(options.tasks) else COMMON_WORDS
    model = read_weights(options.init) if options.init else Model(Config(len(words), layers=options.layers))
    phases = (FURTHER_CURRICULUM if options.tasks else CURRICULUM)[slice(*options.phases)]
    for phase in phases:
        phase.mix.tasks = tuple(options.tasks)
        phase.steps = max(1, round(phase.steps * options.scale))
    team = Team(options.processes, sum(p.numel() for p in model.parameters()))
    mp.start_processes(
        work, (team, model, phases, options), options.processes, daemon=True, start_method="fork"
    )


if __name__ == "__main__":
    main()
