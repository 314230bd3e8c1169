"""Small networks for the sixty sequence tasks of programs_tasks.py.

    python benchmarks/programs_training.py FOLDER [TASK ... | unseen]

One thread, at most 25 s of processor time a task, shared by up to three attempts; networks that are there are kept.
Words grow from 5 symbols to 20 as the network gets them right (not in the last attempt at classes). Once 256 fresh
words of twice the training length are right at every symbol, an attempt has two seconds to settle. The attempt that has
most words right is saved, with what it has right on 1,000 fresh words.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from programs_tasks import LENGTH, SEEDS, TASKS, SequenceTask
from programs_unseen import UNSEEN

SECONDS, SETTLING = 25.0, 2.0
BATCH, RATE, CHECKED_EVERY, STICKY = 128, 5e-3, 100, 0.7
FIRST_LENGTH, GROWN_EVERY, GROWS_AT = 5, 25, 0.95
ALL = (*TASKS, *UNSEEN)
TRIED_LENGTHS = (LENGTH, 2 * LENGTH, 5 * LENGTH)


class Attempt(NamedTuple):
    cell: str
    units: int
    share: float  # of the seconds that are left
    grows: bool = True  # whether words are short at first


# What adds without bound is learned by rectified units that begin as the identity (Le, Jaitly and Hinton, "A simple way
# to initialize recurrent networks of rectified linear units", 2015).
CLASSES = (Attempt("gru", 16, 0.35), Attempt("gru", 32, 0.6), Attempt("gru", 32, 1.0, False))
INTEGERS = (Attempt("relu", 16, 0.3), Attempt("gru", 32, 0.7), Attempt("relu", 32, 1.0))


class Network(torch.nn.Module):
    def __init__(self, cell: str, n_inputs: int, units: int, n_outputs: int) -> None:
        super().__init__()
        self.rnn, self.head = build(cell, n_inputs, units, n_outputs)

    def forward(self, inputs: np.ndarray) -> torch.Tensor:
        return self.head(self.rnn(torch.from_numpy(inputs).float())[0])


def build(cell: str, n_inputs: int, units: int, n_outputs: int) -> tuple[torch.nn.RNNBase, torch.nn.Linear]:
    head = torch.nn.Linear(units, n_outputs)
    if cell == "gru":
        return torch.nn.GRU(n_inputs, units, batch_first=True), head
    rnn = torch.nn.RNN(n_inputs, units, nonlinearity=cell, batch_first=True)
    if cell == "relu":
        with torch.no_grad():
            for name, value in rnn.named_parameters():
                value.zero_()
                if name == "weight_ih_l0":
                    value.normal_(std=0.3)
                elif name == "weight_hh_l0":
                    value.copy_(torch.eye(units))
    return rnn, head


def answers(task: SequenceTask, outputs: np.ndarray) -> np.ndarray:
    """What a network says, from its outputs (..., output): the likeliest class, or the nearest whole number."""
    if task.shown is None:
        return np.rint(outputs[..., 0]).astype(np.int64)
    return np.array(task.shown)[outputs.argmax(-1)]


def right_words(task: SequenceTask, network: Network, n: int, length: int, rng: np.random.Generator) -> float:
    """The share of words at every symbol of which the network is right."""
    words = task.draw(n, length, rng)
    with torch.no_grad():
        outputs = network(task.inputs(words)).numpy()
    return float((answers(task, outputs) == task.truth(words)).all(1).mean())


def train(task: SequenceTask, attempt: Attempt, seconds: float, seed: int) -> Network:
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, ALL.index(task)])
    n_outputs = 1 if task.shown is None else len(task.shown)
    network = Network(attempt.cell, task.alphabet().shape[1], attempt.units, n_outputs)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    begun, step, good = time.process_time(), 0, False
    length = FIRST_LENGTH if attempt.grows else LENGTH
    while (spent := time.process_time() - begun) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.01 + 0.99 * np.cos(0.5 * np.pi * spent / seconds) ** 2)
        words = task.draw(BATCH, length, rng)
        for t in range(1, length):  # a quarter of the words have long runs
            again = rng.random(BATCH // 4) < STICKY
            words[: BATCH // 4, t] = np.where(again, words[: BATCH // 4, t - 1], words[: BATCH // 4, t])
        outputs = network(task.inputs(words))
        truth = task.truth(words)
        if task.shown is None:
            loss = (outputs[..., 0] - torch.from_numpy(truth)).square().mean()
        else:
            classes = torch.from_numpy(np.searchsorted(task.shown, truth))
            loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), classes.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        if length < LENGTH and step % GROWN_EVERY == 0:
            grows = right_words(task, network, 256, length, rng) >= GROWS_AT or spent > seconds / 2
            length = min(length + 1 + length // 4, LENGTH) if grows else length
        if not good and step % CHECKED_EVERY == 0 and length == LENGTH:
            good = right_words(task, network, 256, 2 * LENGTH, rng) == 1
            seconds = min(seconds, spent + SETTLING) if good else seconds
    return network


def learn(task: SequenceTask, folder: Path) -> None:
    best: tuple[Attempt, Network] | None = None
    best_right, left = (-1.0,), SECONDS
    for attempt, seed in zip(CLASSES if task.shown else INTEGERS, SEEDS, strict=True):
        begun = time.process_time()
        network = train(task, attempt, attempt.share * left, seed)
        left -= time.process_time() - begun
        rng = np.random.default_rng([99, ALL.index(task)])
        right = tuple(right_words(task, network, 1000, length, rng) for length in TRIED_LENGTHS)
        print(f"{task.name}: {attempt.cell} {attempt.units}, right at {TRIED_LENGTHS}: {right}, {left:.0f} s left")
        if best is None or right > best_right:
            best, best_right = (attempt, network), right
        # No regression of a sum goes on for ever: twice the length is not asked of it.
        if (right[0] == 1 and (task.shown is None or right[1] > 0.99)) or left < 2:
            break
    if best is None:
        raise ValueError("no attempt was made")
    attempt, network = best
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez(folder / f"{task.name}.npz", cell=attempt.cell, units=attempt.units, right=best_right, **arrays)


def chosen_tasks(names: list[str]) -> list[SequenceTask]:
    """All of the sixty without names; with "unseen" those of programs_unseen.py."""
    if not names:
        return list(TASKS)
    return list(UNSEEN) if names == ["unseen"] else [each for each in ALL if each.name in names]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", nargs="*")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for each in chosen_tasks(chosen.tasks):
        if not (chosen.folder / f"{each.name}.npz").exists():
            learn(each, chosen.folder)
