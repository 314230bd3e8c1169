"""What an extracted machine is and how far it is to be trusted, in a few sentences."""

from typing import Any

import numpy as np

FAITHFUL = 0.9  # below this agreement the summary warns
LITTLE = 1e-5  # nats a symbol: what more states could win of so little is nothing


def summary(found: Any) -> str:
    tell = {"moore": moore_summary, "emitter": emitter_summary, "predictor": predictor_summary}
    return tell[found.kind](found)


def _warning(found: Any) -> str:
    """What the summary has to begin with where the machine is not to be taken for the network's, or only as far as the
    task goes."""
    budget = "the best found before the budget ran out: " if found.out_of_budget else ""
    task, others = _rows(found)
    fault = _fault(found, task + others)
    # With so few words that they prove little, nothing is said to be faithful.
    if fault and task and not _fault(found, task) and found.fidelity_words_low[0, 0] >= FAITHFUL:
        return f"{budget}faithful on the task's words, on others {fault}: "
    if fault:
        return f"{budget}{fault}: "
    longest = int(found.lengths[-1])
    if longest < 2 * found.n_states - 2:
        return f"{budget}tested up to {longest} symbols only: "
    doubted = found.falsifier_wrong is not None and found.falsifier_wrong[:, 0].any()
    reach = [] if found.drift_length is None else [f"only up to {found.drift_length} symbols"]
    reach += ["with rare exceptions"] if doubted else []
    return f"{budget}{', '.join(reach)}: " if reach else budget


def _rows(found: Any) -> tuple[list[int], list[int]]:
    """The rows of `word_distributions` that are the task's, one or none, and the others; where words were read."""
    rows = np.flatnonzero(~np.isnan(found.fidelity_words[:, 0])).tolist()
    task = [row for row in rows if found.word_distributions[row] == "task"]
    return task, [row for row in rows if row not in task]


def _fault(found: Any, rows: list[int]) -> str:
    """Why the machine is not faithful on words of these distributions; empty where it is."""
    if found.fidelity_last[rows, 0].min() < FAITHFUL:
        return "NOT faithful"
    if found.fidelity_words[rows, 0].min() < FAITHFUL:
        return "NOT faithful, except at the end of words"
    drift = _drift(found, rows)
    # Words of up to 2 n - 2 symbols tell any two machines of n states apart: less is no test.
    return f"NOT faithful past {drift} symbols" if drift is not None and drift < 2 * found.n_states - 2 else ""


def _drift(found: Any, rows: list[int]) -> int | None:
    lengths = [length for row in rows if (length := found.drift_lengths[row]) is not None]
    return min(lengths, default=None)


def moore_summary(found: Any) -> str:
    task, others = _rows(found)
    parts = [*_counting(found), f"{_warning(found)}{_states(found.n_states)}"]
    if found.task_states is not None and found.task_states < found.n_states:
        parts.append(
            f"the task's words visit {found.task_states} of these"
            if task
            else "the task's trials hold inputs that are no symbols: none of its own words could be tested"
        )
    parts += [_agreement(found, rows) for rows in (task, others) if rows]
    if found.pac_epsilon is not None and found.pac_delta is not None:
        most = [f"{np.ceil(1e4 * found.pac_epsilon[rows, 0].max()) / 100:.4g} %" for rows in (task, others) if rows]
        of_task = f"{most[0]} of the task's words and " if task else ""
        parts.append(
            f"with a probability of {percent(1 - found.pac_delta)}, at most {of_task}{most[-1]} of words of "
            f"{found.lengths[0]} symbols, of whichever {'other ' if task else ''}kind, disagree anywhere"
        )
    parts += _parting(found) + _doubts(found)
    if found.truth_equivalent is not None:
        parts.append(
            "equivalent to the task's machine"
            if found.truth_equivalent
            else f"not the task's machine: they differ after {_spelled(found, found.truth_word)}"
        )
    if found.machine_accuracy is not None:
        parts.append(
            f"right on the task: machine {percent(found.machine_accuracy)}, network "
            f"{percent(found.network_accuracy or 0.0)} of {found.n_task_trials} trials"
        )
    return "; ".join(parts)


def _agreement(found: Any, rows: list[int]) -> str:
    """How many words of the worst of these distributions agree."""
    last, every, longer = found.fidelity_last, found.fidelity_words, found.lengths[-1]
    worst, name = min(rows, key=lambda row: every[row, 0]), "words of the task of up to"
    number, symbols = found.n_test_words, found.lengths[0]
    if found.word_distributions[worst] != "task":
        name = f"{found.word_distributions[worst]} words of"
    elif found.word_counts is not None and found.word_lengths is not None:
        number, symbols = found.word_counts[worst, 0], found.word_lengths[worst, 0]
    beyond = f"of {longer} symbols {percent(last[rows, -1].min())} and {percent(every[rows, -1].min())}"
    if np.isnan(every[rows, -1]).any():
        beyond = f"of {longer} symbols the task draws none"
    return (
        f"of {number} {name} {symbols} symbols {percent(last[worst, 0])} agree with the network at the end, "
        f"{percent(every[worst, 0])} (95 % sure: at least {percent(found.fidelity_words_low[worst, 0])}) after every "
        f"prefix; {beyond}"
    )


def _parting(found: Any) -> list[str]:
    """Past which length they part, on the task's words and on others."""
    if found.drift_length is None:
        return []
    task, others = _rows(found)
    of_task, other = _drift(found, task), _drift(found, others)
    where = [] if of_task is None else [f"{of_task} symbols of the task's words"]
    if other is not None:
        kind = next(found.word_distributions[row] for row in others if found.drift_lengths[row] == other)
        where.append(f"{other} symbols of {kind} words")
    text = f"95 % sure: they part (98 % agree no more) past {' and '.join(where)}"
    if task and of_task is None and found.word_lengths is not None:
        text += f", not within {found.word_lengths[task].max()} of the task's"
    return [text]


def _doubts(found: Any) -> list[str]:
    """What a search for disagreement came to, on the task's words and on others."""
    if found.falsifier_wrong is None or found.falsifier_words is None:
        return []
    wrong = np.rint(found.falsifier_words[:, None] * found.falsifier_wrong).astype(int)
    task = np.array([kind == "rare" for kind in found.falsifier_kinds])
    parts = []
    for rows, whose in ((task, "of the task's rarest"), (~task, "further")):
        if rows.any():
            near, far = (int(wrong[rows, column].sum()) for column in (0, -1))
            plural = "" if near == 1 else "s"
            beyond = (
                f" and {far or 'no'} within {found.lengths[-1]}" if wrong.shape[1] > 1 and whose == "further" else ""
            )
            parts.append(
                f"a search of {found.falsifier_words[rows].sum()} {whose} words found {near or 'no'} "
                f"disagreement{plural} within {found.lengths[0]} symbols{beyond}"
            )
    if found.falsifier_word is not None:
        parts[-1] += f", the shortest after {_spelled(found, found.falsifier_word)}"
    return parts


def _counting(found: Any) -> list[str]:
    """That the network counts, and what does so in its place; nothing where it does not."""
    if found.growth_states is None or found.tested_depths is None:
        return []
    deepest, depth = len(found.growth_states) - 1, found.tested_depths[-1]
    stack = found.pushdown()
    if stack is None:
        name, fidelity, accuracy = "counter", found.counter_depth_fidelity, found.counter_depth_accuracy
    else:
        places = f"{stack.n_locations} location" + "s" * (stack.n_locations > 1)
        name, fidelity = f"pushdown automaton of {places}", found.pushdown_depth_fidelity
        accuracy = found.pushdown_depth_accuracy
    text = ""
    if fidelity is not None:
        text = f"a {name} agrees with the network on {percent(fidelity[-1])} of prefixes at depth {depth}"
    if accuracy is not None and found.network_depth_accuracy is not None:
        text += (
            f", and is right by the task's language on {percent(accuracy[-1])} (the network on "
            f"{percent(found.network_depth_accuracy[-1])})"
        )
    told = accuracy is not None  # by a task whose language has no bound
    return [
        "not regular: states grow with the depth tested, one for each symbol up to "
        f"{found.counting_depth} ({found.growth_states[-1]} at {deepest})"
        + ("" if told else ", which does not exclude that some deeper bound was learned"),
        text,
    ]


def _spelled(found: Any, word: tuple[int, ...] | None) -> str:
    if not word:
        return "the empty word"
    names = [found.symbols[symbol] for symbol in word]
    return "'" + (", " if any(" " in name for name in names) else " ").join(names) + "'"


def emitter_summary(found: Any) -> str:
    parts = [
        f"{_states(found.n_states)}; log likelihood {found.log_likelihood:.4f} ± {found.log_likelihood_error:.4f} "
        f"nats a symbol of {found.n_test_words} held-out sequences of the network"
    ]
    if found.truth_difference is not None:
        parts[0] += (
            f", the true model's {found.truth_log_likelihood:.4f} (difference {found.truth_difference:+.4f} ± "
            f"{found.truth_difference_error:.4f})"
        )
    if found.truth_shortfall is not None:
        parts.append(
            f"of sequences of the true model {found.log_likelihood_on_truth:.4f}, the true model's "
            f"{found.truth_log_likelihood_on_truth:.4f}: {100 * found.truth_shortfall:.1f} ± "
            f"{100 * (found.truth_shortfall_error or 0.0):.1f} % of the entropy rate short"
        )
    if found.symbol_frequencies is not None and found.truth_frequencies is not None:
        floor = 1 / (found.n_test_words * int(found.lengths[0]))
        emitted, wanted = (np.maximum(f, floor) for f in (found.symbol_frequencies, found.truth_frequencies))
        worst = int(np.abs(np.log(emitted / wanted)).argmax())
        parts.append(
            f"the network emits symbol {found.symbols[worst]} with frequency {found.symbol_frequencies[worst]:.2g}, "
            f"the true model with {found.truth_frequencies[worst]:.2g}"
        )
    if found.compared_states is not None and found.compared_log_likelihood is not None:
        rows = zip(
            found.compared_models,
            found.compared_states.tolist(),
            found.compared_log_likelihood.tolist(),
            strict=True,
        )
        others = ", ".join(f"{name} {likelihood:.4f} ({_states(n)})" for name, n, likelihood in rows)
        parts.append(f"learned otherwise from the network's sequences: {others}")
    if found.likelihood_converged is False:
        parts.append("the last iterations (Baum-Welch) did not come to rest")
    return "; ".join(parts)


def predictor_summary(found: Any) -> str:
    lost, error = found.divergence, found.divergence_error
    parts = [
        f"{found.n_recurrent} recurrent and {found.n_states - found.n_recurrent} transient states; KL(network || "
        f"automaton) {lost:.2g} ± {error:.1g} nats a symbol on {found.n_test_words} held-out words of {found.length} "
        f"symbols; entropy rate {found.entropy_rate:.4f} nats a symbol, statistical complexity "
        f"{found.statistical_complexity:.4f} nats"
    ]
    if found.n_states == found.max_states and found.n_states_wanted is None and (lost or 0.0) > LITTLE:
        parts.append(f"as many states as allowed: more (max_states > {found.max_states}) may come closer")
    if found.compared_models and found.compared_states is not None and found.compared_divergence is not None:
        rows = zip(
            found.compared_models, found.compared_divergence.tolist(), found.compared_states.tolist(), strict=True
        )
        others = ", ".join(f"{name} {kl:.2g} ({_states(n)})" for name, kl, n in rows)
        parts.append(f"KL from the network of what was learned from its words alone: {others}")
    if found.process_divergence is not None:
        parts.append(f"KL(process || network) {found.process_divergence:.2g}")
    if found.belief_r2 is not None:
        told = np.floor(1e4 * found.belief_r2) / 1e4
        parts.append(f"the true belief states are linear in the network's states with R² = {told:.4f}")
    return "; ".join(parts)


def _states(n: int) -> str:
    return f"{n} state" if n == 1 else f"{n} states"


def percent(fraction: float) -> str:
    """Rounded down: what is not always right must never read 100 %."""
    return f"{np.floor(1e4 * fraction + 1e-6) / 100:.4g} %"
