"""Probabilistic automata out of three next-symbol predictors, beside ALERGIA and EM on the words that they write.

    python benchmarks/stochastic_automata.py

KL(network || model) of the next symbol in nats a symbol, on the same 200 held-out words of 100 symbols for all, with
its standard error over words. ALERGIA is AALpy's, EM hmmlearn's with the number of states of the true process, best of
three starts; both are given 2,000 words (EM 400, for its time). One thread, processor seconds, imports not counted.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import rnnscope as rs
from rnnscope.analyses import Predictor, extract_automaton
from rnnscope.analyses.automata.predicting.future_signatures import Sampled, Writer, divergence
from rnnscope.analyses.automata.stochastic.alergia import FLOOR, alergia
from rnnscope.maps import CompleteMap
from rnnscope.tasks import HMM

DATA = Path(__file__).parents[1] / "tests" / "data" / "automata"
TRUE_STATES = {"golden": 2, "rrxor": 5, "mess3": 3}
Row = tuple[np.ndarray, str]


def network(name: str) -> CompleteMap:
    with np.load(DATA / f"LM_{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    n = len(weights["head.bias"])
    rnn, head = torch.nn.GRU(n, 32), torch.nn.Linear(32, n)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"].reshape(-1))


def ours(source: CompleteMap, held_out: Sampled) -> Row:
    found = extract_automaton(source, predicts_next=True, compare=False)
    assert isinstance(found, Predictor)
    machine = found.machine()
    return lost(machine.predictions(held_out.symbols), held_out), f"{machine.n_states}"


def learned(words: np.ndarray, held_out: Sampled) -> Row:
    machine = alergia(words, held_out.probabilities.shape[-1])
    return lost(machine.predictions(held_out.symbols), held_out), f"{machine.n_states}"


def lost(predicted: np.ndarray, held_out: Sampled) -> np.ndarray:
    return divergence(held_out.probabilities, predicted).mean(1)


def em(words: np.ndarray, n_states: int, held_out: Sampled) -> Row:
    from hmmlearn.hmm import CategoricalHMM

    n_symbols, best, best_score = held_out.probabilities.shape[-1], None, -np.inf
    for seed in range(3):
        model = CategoricalHMM(n_states, n_iter=100, tol=1e-3 * len(words), random_state=seed, n_features=n_symbols)
        model.fit(words.reshape(-1, 1), np.full(len(words), words.shape[1]))
        score = model.score(words.reshape(-1, 1), np.full(len(words), words.shape[1]))
        if score > best_score:
            best, best_score = model, score
    assert best is not None
    emission = (1 - FLOOR) * best.emissionprob_ + FLOOR / n_symbols
    emission /= emission.sum(1, keepdims=True)
    hmm = HMM(best.transmat_, emission, best.startprob_)  # type: ignore[arg-type]
    return lost(hmm.predictions(held_out.symbols), held_out), f"{n_states}"


def main() -> None:
    torch.set_num_threads(1)
    extract_automaton(network("golden"), predicts_next=True, n_words=20)  # imports
    print("| network | method | states | KL(network ‖ model), nats a symbol | CPU s |")
    print("|---|---|---|---|---|")
    for name, n_states in TRUE_STATES.items():
        source = network(name)
        writer = Writer(source, np.eye(source.input_size))
        held_out, words = (writer.write(n, 100, np.random.default_rng(n)) for n in (200, 2000))
        methods: dict[str, Callable[[], Row]] = {
            "future signatures": lambda s=source, h=held_out: ours(s, h),
            "ALERGIA, ε .05": lambda w=words, h=held_out: learned(w.symbols, h),
            "EM, true number": lambda w=words, k=n_states, h=held_out: em(w.symbols[:400], k, h),
        }
        for method, run in methods.items():
            start = time.process_time()
            each, states = run()
            seconds = time.process_time() - start
            error = each.std(ddof=1) / len(each) ** 0.5
            print(f"| {name} | {method} | {states} | {each.mean():.5f} ± {error:.5f} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
