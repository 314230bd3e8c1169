"""Formal languages against their definitions, word by word, and the trials drawn from them."""

import itertools
import json
import re

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.tasks import FormalLanguage, task_from_config, to_config
from rnnscope.tasks.languages import Dyck, EqualRuns, Language, RegularLanguage, dyck_machine, language
from rnnscope.tasks.machine import Machine


def is_tomita_3(word):
    runs = [(symbol, len(list(group))) for symbol, group in itertools.groupby(word)]
    return not any(a == ("1") and n % 2 and m % 2 for (a, n), (_, m) in itertools.pairwise(runs))


def is_balanced(word):
    while (shorter := re.sub(r"\(\)|\[\]", "", word)) != word:
        word = shorter
    return not word


def is_nested(word, depth):
    level = np.cumsum([1 if c in "([" else -1 for c in word] or [0])
    return is_balanced(word) and level.max() <= depth


DEFINITIONS = {
    "tomita-1": lambda w: "0" not in w,
    "tomita-2": lambda w: re.fullmatch("(10)*", w) is not None,
    "tomita-3": is_tomita_3,
    "tomita-4": lambda w: "000" not in w,
    "tomita-5": lambda w: w.count("0") % 2 == 0 and w.count("1") % 2 == 0,
    "tomita-6": lambda w: (w.count("0") - w.count("1")) % 3 == 0,
    "tomita-7": lambda w: re.fullmatch("0*1*0*1*", w) is not None,
    "parity": lambda w: w.count("1") % 2 == 1,
    "even-pairs": lambda w: (w.count("01") + len(re.findall("(?=10)", w))) % 2 == 0,
    "anbn": lambda w: w == "a" * (len(w) // 2) + "b" * (len(w) // 2),
    "dyck-1": is_balanced,
    "dyck-2": is_balanced,
    "dyck-2-depth-2": lambda w: is_nested(w, 2),
    "dyck-1-depth-3": lambda w: is_nested(w, 3),
    "regex:(01)*": lambda w: re.fullmatch("(01)*", w) is not None,
    "regex[ab]:a*b": lambda w: re.fullmatch("a*b", w) is not None,
}
STATES = {f"tomita-{k}": n for k, n in zip(range(1, 8), (2, 3, 5, 4, 4, 3, 5), strict=True)}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_labels_are_those_of_the_definition(name):
    found = language(name)
    assert isinstance(found, Language)
    for length in range(9 if len(found.symbols) == 2 else 7):
        words = list(itertools.product(range(len(found.symbols)), repeat=length))
        texts = ["".join(found.symbols[a] for a in word) for word in words]
        shown = found.labels(np.array(words, np.int64).reshape(len(words), length))
        assert shown.shape == (len(words), length + 1)
        for prefix in {0, length // 2, length}:
            wanted = [DEFINITIONS[name](text[:prefix]) for text in texts]
            np.testing.assert_array_equal(shown[:, prefix] == 1, wanted, err_msg=f"prefixes {prefix} of {length}")
        assert found.has_words(length)[length] == any(map(DEFINITIONS[name], texts)), length


@pytest.mark.parametrize(("name", "n_states"), STATES.items())
def test_tomita_machines_are_minimal(name, n_states):
    machine = language(name).machine
    assert machine is not None
    assert machine.n_states == machine.minimise().n_states == n_states


def test_the_tables_of_known_tomita_machines():
    """Start first; accepting flags; next state on 0, on 1."""
    tables = {
        "tomita-1": ([1, 0], [(1, 0), (1, 1)]),
        "tomita-2": ([1, 0, 0], [(2, 1), (0, 2), (2, 2)]),
        "tomita-4": ([1, 1, 1, 0], [(1, 0), (2, 0), (3, 0), (3, 3)]),
        "tomita-5": ([1, 0, 0, 0], [(1, 2), (0, 3), (3, 0), (2, 1)]),
        "tomita-7": ([1, 1, 1, 1, 0], [(0, 1), (2, 1), (2, 3), (4, 3), (4, 4)]),
    }
    for name, (accepting, transitions) in tables.items():
        known = Machine(np.array(transitions), np.array(accepting)[:, None])
        assert language(name).machine.equivalent(known) == (True, None), name


def test_groups_multiply():
    z5, s3 = language("Z5"), language("S3")
    words = np.random.default_rng(0).integers(5, size=(20, 12))
    np.testing.assert_array_equal(z5.labels(words)[:, 1:], words.cumsum(1) % 5)
    elements = [np.array(list(map(int, name))) for name in s3.symbols]
    words = np.random.default_rng(1).integers(6, size=(20, 12))
    for word, shown in zip(words, s3.labels(words), strict=True):
        product = np.arange(3)
        for symbol, label in zip(word, shown[1:], strict=True):
            product = product[elements[symbol]]
            np.testing.assert_array_equal(elements[label], product)


def test_arithmetic_is_pythons():
    found = language("arithmetic-5")
    rng = np.random.default_rng(0)
    for n_digits in (1, 2, 5, 9):
        digits, signs = rng.integers(5, size=n_digits), rng.integers(5, 8, size=n_digits - 1)
        word = np.empty(2 * n_digits - 1, int)
        word[::2], word[1::2] = digits, signs
        text = "".join(found.symbols[a] for a in word)
        shown = found.labels(word[None])[0]
        assert shown[-1] == eval(text) % 5, text
        assert (shown[:-1:2] == 5).all(), "a prefix that ends in a sign, or nothing, has no value"
    assert found.labels(np.array([[1, 2]]))[0, -1] == 5, "two digits side by side"


@pytest.mark.parametrize("name", ["tomita-4", "anbn", "dyck-1", "dyck-2", "dyck-2-depth-2"])
def test_samples_are_words_of_the_language(name):
    found = language(name)
    lengths = np.array([0, 2, 4, 10, 4, 30])
    words = found.sample(lengths, np.random.default_rng(0))
    assert words.shape == (6, 30)
    for word, length in zip(words, lengths, strict=True):
        assert found.labels(word[None, :length])[0, -1] == 1
        assert not word[length:].any()


def test_dyck_samples_are_uniform_and_as_deep_as_asked():
    found = Dyck(2, sampled_depth=3)
    words = found.sample(np.full(8000, 6), np.random.default_rng(0))
    assert found.depths(words).max() == 3
    _, counts = np.unique(words, axis=0, return_counts=True)
    assert len(counts) == 5 * 2**3, "Catalan(3) shapes, two types for each of three pairs"
    assert ((counts - 200) ** 2 / 200).sum() < 72.1, "chi-square, 39 degrees of freedom, p = .001"
    flat = Dyck(1, sampled_depth=1).sample(np.array([8]), np.random.default_rng(0))
    np.testing.assert_array_equal(flat, [[0, 1] * 4])


def test_what_no_language_has_is_told():
    for name in ("tomita-8", "tomita-", "S9", "dyck-9", "nonsense"):
        with pytest.raises(ValueError, match=r"unknown language.*known: tomita-1"):
            language(name)
    with pytest.raises(ValueError, match="more than 5000"):
        dyck_machine(2, 13)
    with pytest.raises(ValueError, match="even length, not 3"):
        EqualRuns().sample(np.array([3]), np.random.default_rng(0))
    for setting, words in (
        ({"language": "tomita-2", "lengths": (1, 1)}, "has no word of length 1 to 1"),
        ({"language": "tomita-2", "lengths": (5, 2)}, "shortest, longest"),
        ({"language": "tomita-2", "balance": 1.5}, "balance = 1.5"),
        ({"language": "tomita-2", "sampled_depth": 3}, "sampled_depth is for"),
    ):
        with pytest.raises(ValueError, match=words):
            FormalLanguage(**setting)


def test_trials_have_their_shares():
    task = FormalLanguage("tomita-5", lengths=(2, 40), balance=0.4, border=0.25)
    trials = task.sample(4000, np.random.default_rng(0))
    lengths, source = trials.info["length"], trials.info["source"]
    shares = np.bincount(source) / 4000
    np.testing.assert_allclose(shares, [0.6 * 0.75, 0.4, 0.6 * 0.25], atol=0.025)
    ends = trials.targets[np.arange(4000), lengths - 1, 0]
    assert (ends[source == 1] == 1).all()
    assert (ends[source != 1] == 0).all()
    assert lengths.min() == 3, "two symbols after the opening step"
    assert lengths.max() == 41
    np.testing.assert_array_equal(trials.mask.sum(1), lengths)
    np.testing.assert_array_equal(trials.inputs[:, :1], np.tile(task.opening, (4000, 1, 1)))
    assert (trials.targets[:, 0] == 1).all(), "the empty word has an even number of each symbol"
    words = trials.inputs[:, 1:].argmax(-1)
    labels = task.ground_truth.outputs[task.ground_truth.run(words)]
    np.testing.assert_array_equal(labels[trials.mask[:, 1:]], trials.targets[:, 1:][trials.mask[:, 1:]])


def test_without_the_empty_word_trials_begin_at_once():
    asked, unasked = (FormalLanguage("tomita-1", lengths=(4, 4), empty_word=asks) for asks in (True, False))
    with_it, without = (task.sample(20, np.random.default_rng(0)) for task in (asked, unasked))
    np.testing.assert_array_equal(with_it.inputs[:, 1:], without.inputs)
    np.testing.assert_array_equal(with_it.targets[:, 1:], without.targets)
    assert (without.info["length"] == 4).all()
    assert unasked.opening.shape == (0, 2)


def test_border_words_are_one_edit_away():
    task = FormalLanguage("tomita-2", lengths=(6, 9), balance=0.0, border=1.0)
    trials = task.sample(300, np.random.default_rng(0))
    for word, n_steps in zip(trials.inputs[:, 1:].argmax(-1), trials.info["length"], strict=True):
        length = n_steps - 1
        text = "".join(map(str, word[:length]))
        near = {text[:i] + c + text[i + 1 :] for i in range(length) for c in "01"}
        near |= {text[:i] + text[i + 1 :] for i in range(length)}
        near |= {text[:i] + c + text[i:] for i in range(length + 1) for c in "01"}
        near |= {text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(length - 1)}
        assert any(re.fullmatch("(10)*", other) for other in near), text


def test_held_out_words_are_as_long_as_asked_and_as_deep():
    trials = FormalLanguage("dyck-2", lengths=(2, 40), sampled_depth=6).sample_held_out(
        200, 100, np.random.default_rng(0)
    )
    assert trials.inputs.shape[1] == 101, "100 symbols after the opening step"
    assert Dyck(2).depths(trials.inputs[:, 1:].argmax(-1)).max() <= 6


def test_geometric_lengths_favour_short_words():
    lengths = (
        FormalLanguage("parity", lengths=(1, 40), length_distribution="geometric")
        .sample(4000, np.random.default_rng(0))
        .info["length"]
        - 1
    )
    quarters = np.histogram(lengths, [1, 11, 21, 31, 41])[0] / 4000
    np.testing.assert_allclose(quarters[1:] / quarters[:-1], 0.5, atol=0.08)


# Words of a and b in which no two b stand side by side, with a state more than it needs.
NO_BB = Machine(np.array([[3, 1], [0, 2], [2, 2], [0, 1]]), np.array([[1], [1], [0], [1]]), 3)


def test_a_machine_of_ones_own_is_a_language():
    task = FormalLanguage(NO_BB, lengths=(2, 20))
    assert task.ground_truth.n_states == 3
    assert task.ground_truth.equivalent(NO_BB) == (True, None)
    trials = task.sample(1000, np.random.default_rng(0))
    named = FormalLanguage("regex[ab]:(a|ba)*b?", lengths=(2, 20)).sample(1000, np.random.default_rng(0))
    for drawn in ("inputs", "targets", "mask"):
        np.testing.assert_array_equal(getattr(trials, drawn), getattr(named, drawn), err_msg=drawn)
    for word, label, length in zip(
        trials.inputs[:, 1:].argmax(-1), trials.targets[..., 0], trials.info["length"], strict=True
    ):
        text = "".join("ab"[a] for a in word[: length - 1])
        assert [("bb" not in text[:n]) for n in range(length)] == (label[:length] == 1).tolist(), text


def test_a_machine_of_ones_own_goes_into_run_json_and_comes_back(tmp_path):
    task = FormalLanguage(NO_BB, lengths=(1, 6))
    config = json.loads(json.dumps(to_config(task)))
    assert config["language"]["transitions"] == NO_BB.transitions.tolist()
    rebuilt = task_from_config(config)
    assert rebuilt == task
    assert hash(rebuilt) == hash(task)
    assert rebuilt != FormalLanguage(NO_BB.complement(), lengths=(1, 6))
    run = rs.train(task, rs.cells.Vanilla(4), steps=3, folder=tmp_path, progress=False)
    stored = json.loads((run.path / "run.json").read_text())["task"]["language"]
    assert Machine.from_dict(stored) == NO_BB
    again = rs.load_run(run.path)
    assert again.task == task
    assert again.task.ground_truth.equivalent(NO_BB) == (True, None)


def test_moore_machines_of_more_classes_are_drawn_uniformly():
    thirds = Machine(np.array([[0, 1], [1, 2], [2, 0]]), np.array([[0], [1], [2]]))  # ones modulo 3
    trials = FormalLanguage(thirds, lengths=(9, 9)).sample(300, np.random.default_rng(0))
    assert not trials.info["source"].any()
    np.testing.assert_array_equal(trials.targets[:, 1:, 0], trials.inputs[:, 1:, 1].cumsum(1) % 3)


def test_machines_that_are_no_language_are_told(monkeypatch):
    emits = Machine(np.array([[0, 0]]), np.array([[0]]), 0, np.array([[0.5, 0.5]]))
    mealy = Machine(np.array([[0, 0]]), np.array([[[0], [1]]]))
    for machine, words in (
        (emits, "got a probabilistic machine"),
        (mealy, "got a Mealy machine"),
        (Machine(np.array([[0, 0]]), np.array([[0, 1]])), "with 2 heads"),
        (Machine(np.array([[0, 0]]), np.array([[-1]])), "shows -1 at least"),
        (Machine(np.array([[0, 0]]), np.array([[0]])), "this machine has no word of length 1 to 40"),
    ):
        with pytest.raises(ValueError, match=words):
            FormalLanguage(machine)
    with pytest.raises(ValueError, match=r"no word of up to 41 symbols, so no border: give border=0\.0"):
        FormalLanguage(Machine(np.array([[0, 0]]), np.array([[0]])), balance=0.0)
    with pytest.raises(ValueError, match=r"sampled_depth is for .* not for this machine"):
        FormalLanguage(NO_BB, sampled_depth=2)
    with pytest.raises(ValueError, match="language: transitions must be whole numbers"):
        task_from_config({"kind": "FormalLanguage", "language": {"transitions": [[0.5]], "outputs": [[0]]}})
    with pytest.raises(ValueError, match=r"language: give the name of a language.* not int"):
        task_from_config({"kind": "FormalLanguage", "language": 4})
    with pytest.raises(ValueError, match="1 names for 2 symbols"):
        RegularLanguage(NO_BB, ("a",))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    assert FormalLanguage(Machine([[0, 1], [1, 0]], [[0], [1]])).ground_truth.n_states == 2  # type: ignore[arg-type]


def test_an_alphabet_of_one_symbol_has_a_border_too():
    task = FormalLanguage("regex[a]:(aaa)*", lengths=(1, 12), balance=0.0, border=1.0)
    trials = task.sample(200, np.random.default_rng(0))
    labels = (np.arange(trials.targets.shape[1]) % 3 == 0).astype(int)
    np.testing.assert_array_equal(trials.targets[..., 0], np.tile(labels, (200, 1)))
    assert set(trials.info["length"] - 1) == set(range(1, 13)), "every length, in the language or not"


def has_value(text: str) -> bool:
    return re.fullmatch(r"\d([-+*]\d)*", text) is not None


def test_arithmetic_has_its_shares_of_expressions_and_of_words_near_them():
    task = FormalLanguage("arithmetic-3", lengths=(1, 15), balance=0.6, border=0.75)
    trials = task.sample(2000, np.random.default_rng(0))
    length, source = trials.info["length"] - 1, trials.info["source"]
    np.testing.assert_allclose(np.bincount(source) / 2000, [0.4 * 0.25, 0.6, 0.4 * 0.75], atol=0.035)
    ends = trials.targets[np.arange(2000), length, 0]
    texts = ["".join(task.symbols[a] for a in word[:n]) for word, n in zip(task_words(trials), length, strict=True)]
    for text, label, kind in zip(texts, ends, source, strict=True):
        assert label == (eval(text) % 3 if has_value(text) else 3), text
        assert has_value(text) == (kind == 1), f"{text} was drawn as {('uniform', 'in the language', 'border')[kind]}"
    for text in [text for text, kind in zip(texts, source, strict=True) if kind == 2][:50]:
        n, some = len(text), task.symbols
        near = {text[:i] + c + text[i + 1 :] for i in range(n) for c in some}
        near |= {text[:i] + text[i + 1 :] for i in range(n)}
        near |= {text[:i] + c + text[i:] for i in range(n + 1) for c in some}
        near |= {text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(n - 1)}
        assert any(map(has_value, near)), f"{text} is more than one edit away from an expression"


def task_words(trials) -> np.ndarray:
    return trials.inputs[:, 1:].argmax(-1)
