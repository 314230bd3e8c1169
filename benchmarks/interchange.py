"""Interchange interventions: are the states of machines, and the bits of memories, where they are said to be?

    python benchmarks/interchange.py [compiled wrong acceptors flip-flops students speed]

- compiled: random minimal machines of 3 to 8 states and 2 or 3 symbols, compiled and seen from random axes. The true
  subspace is known: which units enter a state together.
- wrong: the same, asked about a machine with one transition redirected. Is the transition that swaps which went wrong
  took more often than others the planted one?
- acceptors: the trained networks of tests/data/automata that are robust, with the true machine of their language.
- flip-flops: networks of 3 bits, trained here; the table of their eight states, and one direction for each bit.
- students: GRUs of 24 units trained on a machine's language so that the state of the compiled machine can be read
  from planted axes; outside these another trial's state is put in after every step, and the mean is the same in all
  states. What carries the state is then known up to what training reaches: the accuracy of swaps within the axes.
- speed: 10,000 different patches at once and one after another.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import subspace_angles

import rnnscope as rs
from rnnscope.analyses import MachineStates, align_subspace, machine_states
from rnnscope.analyses.causal.swaps import Going, Swaps
from rnnscope.maps import CompleteMap, Conjugated
from rnnscope.tasks import FlipFlop, Trials
from rnnscope.tasks.languages import language
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[1] / "tests" / "data"
AT = 9
FOLDER = Path(tempfile.gettempdir()) / "rnnscope-interchange"  # networks that are trained once


def random_machine(rng: np.random.Generator, n_symbols: int) -> Machine:
    """Minimal, and every state is entered by some."""
    while True:
        n = int(rng.integers(3, 9))
        found = Machine(rng.integers(n, size=(n, n_symbols)), rng.integers(2, size=(n, 1))).minimise()
        if found.n_states >= 3 and len(np.unique(found.transitions)) == found.n_states:
            return found


def degrees(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(subspace_angles(one, other)).max())


def compiled() -> None:
    print("| machine | dimensions | angle | swaps right, worst cell | transitions, worst | any | visited | s |")
    for seed in range(1000, 1012):
        rng = np.random.default_rng(seed)
        machine = random_machine(rng, 2 + seed % 2)
        network = rs.compile_machine(machine).map()
        turn = np.linalg.qr(rng.standard_normal((network.state_size,) * 2))[0]
        began = time.process_time()
        found = machine_states(Conjugated(network, turn), automaton=machine, alphabet=np.eye(machine.n_symbols))
        seconds = time.process_time() - began
        enters = np.vstack([np.eye(machine.n_states)[machine.transitions.ravel()], np.zeros(machine.n_states)])
        truth = np.linalg.qr(np.column_stack([enters.sum(1), enters])[:, : machine.n_states])[0][:, 1:]
        same = found.columns.shape == truth.shape
        angle = f"{degrees(found.columns, turn @ truth):.1e}" if same else "fewer dimensions"
        print(
            f"| {machine.n_states} states, {machine.n_symbols} symbols | {found.columns.shape[1]} of "
            f"{len(found.columns)} | {angle} | {found.of_pairs.accuracy.min():.3f} | "
            f"{found.of_transitions.accuracy.min():.3f} | {found.random.any.mean():.2f} | "
            f"{found.random.visited.mean():.2f} | {seconds:.1f} |"
        )


def wrong() -> None:
    first = taken = lowest = n = 0
    for seed in range(2000, 2040):
        rng = np.random.default_rng(seed)
        true = random_machine(rng, 2)
        state, symbol = int(rng.integers(true.n_states)), int(rng.integers(2))
        transitions = true.transitions.copy()
        transitions[state, symbol] = (transitions[state, symbol] + 1 + rng.integers(true.n_states - 1)) % true.n_states
        other = Machine(transitions, true.outputs)
        few: dict[str, Any] = {"n_learn": 64, "n_random": 1, "n_descent": 0}
        try:
            found = machine_states(rs.compile_machine(true), automaton=other, alphabet=np.eye(2), **few)
        except rs.NotApplicable:  # it never leaves its first state
            continue
        if state not in found.states:
            continue
        row, moves = found.states.tolist().index(state), found.of_transitions
        if np.isnan(moves.taken_wrong).any():  # to where the network does the same
            continue
        n += 1
        first += moves.suspect == (row, symbol)
        taken += moves.taken_wrong[row, symbol] == 1
        lowest += moves.whole.argmin() == row * 2 + symbol
    print(f"{n} machines with one transition redirected: every swap that went wrong had taken it in {taken}, it is "
          f"named first in {first}, and has the lowest accuracy of its own in {lowest}")  # fmt: skip


def acceptor(name: str) -> rs.StateMap:
    with np.load(DATA / "automata" / f"{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = (torch.nn.GRU if "gru" in name else torch.nn.RNN)(2, 32)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(32, 1)
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"])


def told(name: str, found: MachineStates) -> None:
    swaps, worst = found.of_states, found.worst
    assert found.made is not None
    print(
        f"| {name} | {len(found.states)} | {found.columns.shape[1]} of {len(found.columns)} ({found.learned.how}) | "
        f"{found.accuracy:.3f} | {swaps.accuracy[worst]:.3f} ({swaps.low[worst]:.3f} to {swaps.high[worst]:.3f}) | "
        f"{swaps.whole.min():.3f} | {found.of_transitions.accuracy.min():.3f} | {found.random.any.mean():.2f} | "
        f"{found.random.visited.mean():.2f} | {found.made.seconds:.0f} |"
    )


HEAD = "| network | states | dimensions | right | worst state | whole, worst | transition, worst | any | visited | s |"


def acceptors() -> None:
    print(HEAD)
    for file in sorted((DATA / "automata").glob("T*_robust.npz")):
        machine = language(f"tomita-{file.stem[1]}").machine
        assert machine is not None
        told(file.stem, machine_states(acceptor(file.stem), automaton=machine, alphabet=np.eye(2)))


def flip_flop_machine(task: FlipFlop) -> Machine:
    """Its states are what it shows: bit k set where channel k is negative."""
    shown = 1 - 2 * (np.arange(2**task.bits)[:, None] >> np.arange(task.bits) & 1)
    after = np.where(task.alphabet == 0, shown[:, None], task.alphabet)
    return Machine((after < 0).astype(np.int64) @ (1 << np.arange(task.bits)), task.labels(shown))


def with_bit_of_source(bit: int):
    def targets(base: Trials, source: Trials) -> np.ndarray:
        found = base.targets.copy()
        found[:, AT, bit] = source.targets[:, AT, bit]
        for t in range(AT + 1, found.shape[1]):
            pulse = base.inputs[:, t, bit]
            found[:, t, bit] = np.where(pulse != 0, pulse, found[:, t - 1, bit])
        return found

    return targets


def flip_flops() -> None:
    task, told_bits = FlipFlop(3, 24, 0.25), []
    print(HEAD)
    for name, cell in {"vanilla": rs.cells.Vanilla(16), "gru": rs.cells.GRU(16), "leaky": rs.cells.Leaky(24)}.items():
        for seed in range(2):
            run = rs.train(task, cell, seed=seed, folder=FOLDER, name=f"{name}_{seed}", exists="reuse", progress=False)
            told(f"{name} {seed}", machine_states(run, automaton=flip_flop_machine(task), length=16))
            bits = rs.as_subject(run).trials(1024, 0).targets[:, AT]
            for bit in range(3):
                found = align_subspace(
                    run, time=AT, trial_labels={"bit": bits[:, bit]}, counterfactual=with_bit_of_source(bit)
                )
                held = found.held_out
                told_bits.append(
                    f"| {name} {seed} | {bit} | {found.columns.shape[1]} ({found.learned.how}) | {held.accuracy:.3f} "
                    f"({held.low:.3f} to {held.high:.3f}), {held.n_pairs} | {held.whole:.2f} | "
                    f"{found.units.accuracy:.2f} | {found.random.any.mean():.2f} | {found.random.visited.mean():.2f} |"
                )
    print("\n| network | bit | dimensions | right, pairs | whole | single units | any | visited |")
    print("\n".join(told_bits))


def student(machine: Machine, seed: int) -> tuple[CompleteMap, np.ndarray, float]:
    """A GRU trained on what a machine shows, with the machine's state in planted axes; the axes; its accuracy."""
    units, k = 24, machine.n_states - 1
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell = torch.nn.GRUCell(machine.n_symbols, units)
        head = torch.nn.Linear(k, 2)
    axes = torch.linalg.qr(torch.randn(units, units, generator=rng))[0][:, :k]
    codes = np.linalg.qr(np.column_stack([np.ones(machine.n_states), np.eye(machine.n_states)[:, 1:]]))[0][:, 1:]
    codes = torch.tensor(codes * np.sqrt(machine.n_states) * 0.6, dtype=torch.float32)
    project, words = axes @ axes.T, np.random.default_rng(seed)
    optimiser = torch.optim.Adam([*cell.parameters(), *head.parameters()], 3e-3)
    for _ in range(2500):
        drawn = words.integers(machine.n_symbols, size=(64, 25))
        states = machine.run(drawn)
        shown = torch.nn.functional.one_hot(torch.tensor(drawn), machine.n_symbols).float()
        h, loss = torch.zeros(64, units), torch.zeros(())
        for t in range(25):
            h = cell(shown[:, t], h)
            loss = loss + ((h @ axes - codes[states[:, t]]) ** 2).mean()
            loss = loss + torch.nn.functional.cross_entropy(
                head(h @ axes), torch.tensor(machine.outputs[states[:, t], 0])
            )
            # Outside the axes the mean is the same in all states of the machine, or else a swap of what goes along with
            # the state there could not be told from one of the state.
            share = torch.nn.functional.one_hot(torch.tensor(states[:, t]), machine.n_states).float()
            outside = h @ (torch.eye(units) - project)
            means = share.T @ outside / share.sum(0).clamp(min=1)[:, None]
            loss = loss + 3 * ((share @ (means - outside.mean(0))) ** 2).sum(1).mean()
            # There it gets another trial's state, too: it can tell nothing.
            h = h @ project + outside[torch.randperm(64, generator=rng)]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
        optimiser.step()
    rnn, read = torch.nn.GRU(machine.n_symbols, units), torch.nn.Linear(units, 2)
    rnn.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    read.load_state_dict({"weight": (head.weight @ axes.T).detach(), "bias": head.bias.detach()})
    network = rs.as_subject(rs.wrap(rnn, readout=read)).map
    test = words.integers(machine.n_symbols, size=(500, 30))
    inputs = np.eye(machine.n_symbols)[test]
    got = network.readout(network.unroll(np.zeros((500, units)), inputs)).argmax(-1)
    return network, axes.numpy().astype(np.float64), float((got == machine.outputs[machine.run(test), 0]).all(1).mean())


def within_planted(network: CompleteMap, machine: Machine, axes: np.ndarray) -> float:
    """Share of swaps within the planted axes that are right, from and into whatever state."""
    rng, n = np.random.default_rng(5), 1000
    words, after = rng.integers(machine.n_symbols, size=(2, n, 15)), rng.integers(machine.n_symbols, size=(n, 10))
    alphabet = np.eye(machine.n_symbols)
    base, source = (network.unroll(np.zeros((n, len(axes))), alphabet[each])[:, -1] for each in words)
    axes = np.linalg.qr(axes)[0]
    states = network.unroll(base + (source - base) @ axes @ axes.T, alphabet[after])
    wanted = machine.show(np.concatenate([words[1], after], 1))[:, 15:, 0]
    return float((network.readout(states).argmax(-1) == wanted).all(1).mean())


def students() -> None:
    head = "| student of | words right | planted axes | dimensions, angle | fewest, angle | right | worst state |"
    print(head, "any | visited |")
    for name in ("parity", "tomita-4", "tomita-5"):
        for seed in range(2):
            machine = language(name).machine
            assert machine is not None
            network, axes, right = student(machine, seed)
            found = machine_states(network, automaton=machine, alphabet=np.eye(2), dimensions=axes.shape[1])
            fewest = machine_states(network, automaton=machine, alphabet=np.eye(2))
            planted = within_planted(network, machine, axes)
            asked, needed = (f"{each.columns.shape[1]}, {degrees(axes, each.columns):.1f}" for each in (found, fewest))
            print(
                f"| {name}, {seed} | {right:.3f} | {planted:.3f} | {asked} | {needed} | {found.accuracy:.3f} | "
                f"{found.of_states.accuracy.min():.3f} | {found.random.any.mean():.2f} | "
                f"{found.random.visited.mean():.2f} |",
                flush=True,
            )


def speed() -> None:
    rng, n, steps = np.random.default_rng(0), 10_000, 20
    network = rs.Network(rs.cells.GRU(64), 3, 3, generator=torch.Generator().manual_seed(0)).map()
    going = Going(network, lambda y: y > 0)
    columns = np.linalg.qr(rng.standard_normal((64, 3)))[0]
    base, source = rng.standard_normal((2, n, 64))
    inputs = rng.standard_normal((n, steps, 3))
    none = np.zeros((n, steps + 1, 3), np.int64)
    swaps = Swaps(base, source, inputs, none, np.ones((n, steps + 1), bool), none.astype(float))
    going.right(swaps[:10], columns)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        going.right(swaps, columns)
        together = time.process_time() - began
        began = time.process_time()
        for i in range(200):
            going.right(swaps[i : i + 1], columns)
        seconds.append((together, (time.process_time() - began) * n / 200))
    together, apart = np.median(seconds, 0)
    print(f"10,000 patches, GRU of 64, 20 steps: at once {together:.2f} s, one after another {apart:.1f} s "
          f"(of 200), {apart / together:.0f} times")  # fmt: skip


if __name__ == "__main__":
    parts = {"compiled": compiled, "wrong": wrong, "acceptors": acceptors, "flip-flops": flip_flops,
             "students": students, "speed": speed}  # fmt: skip
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=list(parts))
    torch.set_num_threads(1)
    for part in parser.parse_args().parts:
        print(f"\n## {part}\n", flush=True)
        parts[part]()
