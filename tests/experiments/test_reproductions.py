"""Papers, claim by claim: what counts as reproduced, that nothing is done twice, and what the report says."""

import html
import json
from pathlib import Path

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses import ANALYSES
from rnnscope.cli import main
from rnnscope.experiments import PAPERS, reproduce
from rnnscope.experiments.reproductions.claim import Claim, Estimate, Evidence, Measured, drawing_of, judge
from rnnscope.experiments.reproductions.paper import Paper, Scale
from rnnscope.experiments.reproductions.reproduction import Reproduction
from rnnscope.experiments.reproductions.write import write_reports
from rnnscope.learning.presets import Preset

TRAINING = rs.Training(steps=4, evaluate_every=4, checkpoints=(0,), evaluation_trials=16)
EXPONENTS = {"lyapunov": {"n_exponents": 1, "n_steps": 30, "n_starts": 2, "transient": 5}}


def preset(units: int, **changes: float) -> Preset:
    training = rs.Training(**{**{name: getattr(TRAINING, name) for name in TRAINING.__dataclass_fields__}, **changes})
    return Preset(tasks.Parity(2), cells.Vanilla(units), training, "two-parity")


def finite(evidence: Evidence) -> Measured:
    value = float(evidence.results["lyapunov"].exponents[0])
    return Measured(value < 1, {"lambda 1 (nats per step)": Estimate.around(value, 0.01)}, "it was run for 30 steps")


def even_seeds(evidence: Evidence) -> Measured:
    return Measured(evidence.run.seed % 2 == 0, {"seed": Estimate.exact(float(evidence.run.seed))}, note="<not markup>")


CLAIMS = (
    Claim(
        "C1", "not large", "exponents are small", "the exponent is below 1", ("lyapunov",), finite,
        ("lyapunov",),
    ),
    Claim("C2", "even seeds", "seeds are even", "the seed is even", (), even_seeds),
    Claim("C3", "rests on C2", "what C2 says, again", "always", (), lambda _: Measured(True), only_where="C2"),
    Claim("C4", "settles nothing", "none", "never settled", (), lambda _: Measured(None)),
    Claim("C5", "too large", "large networks", "at 10,000 units", (), lambda _: Measured(True)),
    Claim("C6", "cannot apply", "a machine", "it is found", ("stochastic_resonance_of_nothing",), finite),
)  # fmt: skip
PAPER = Paper(
    "test", "A paper & its title", "Somebody, 2026",
    {"tiny": Scale("seconds", {"four": preset(4), "six": preset(6)}, 2, EXPONENTS, {"C5": "it takes a cluster"})},
    CLAIMS[:5], ("an identity",),
)  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_every_claim_names_analyses_and_figures_that_there_are(name: str):
    for claim in PAPERS[name].claims:
        assert all(use in ANALYSES for use in claim.uses), claim.name
        assert {drawing_of(figure)[0] for figure in claim.drawings} <= set(claim.uses), claim.name


@pytest.mark.parametrize(
    ("name", "scale"), [(paper.name, scale) for paper in PAPERS.values() for scale in paper.scales]
)
def test_settings_of_every_scale_are_accepted(name: str, scale: str):
    size = PAPERS[name].scale(scale)
    for condition in size.networks:
        for analysis, settings in size.asked_of(condition).items():
            ANALYSES[analysis].question.check(dict(settings))
    assert set(size.own_settings) <= set(size.networks)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    return reproduce(PAPER, out=tmp_path_factory.mktemp("paper"), progress=False)


def verdicts(done: Reproduction) -> dict[str, str]:
    return {claim.name: done.verdict(claim.name) for claim in done.claims}


def test_each_claim_gets_the_verdict_that_its_networks_give(done: Reproduction) -> None:
    assert verdicts(done) == {
        "C1": "reproduced in both conditions",
        "C2": "not reproduced in both conditions",  # one seed of two is even
        "C3": "reproduced in both conditions",  # in the networks that count
        "C4": "open in both conditions",
        "C5": "not tested at this size",
    }
    assert done.judged("C3") == ("reproduced", 2, 0, 2)
    left_out = [each for each in done.of("C3") if each.measured is None]
    assert {each.network.wanted.seed for each in left_out} == {1}
    assert all(each.why_not == "C2 was not seen to hold for it" for each in left_out)


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        ([True] * 4 + [False], "reproduced"),
        ([True] * 3 + [False] * 2, "not reproduced"),
        ([True] * 3 + [None] * 2, "open"),
        ([True] * 3 + [None, False], "open"),
        ([True] * 2 + [None, False, False], "not reproduced"),
        ([True], "reproduced"),
        ([], "not tested"),
    ],
)
def test_four_of_five_are_wanted(holds: list[bool | None], verdict: str) -> None:
    assert judge([Measured(each) for each in holds]).verdict == verdict


def test_an_interval_decides_only_what_lies_outside_it() -> None:
    assert Estimate(1.0, 0.5, 1.5).below(2.0) is True
    assert Estimate(1.0, 0.5, 1.5).below(0.2) is False
    assert Estimate(1.0, 0.5, 1.5).below(1.2) is None
    assert Estimate(1.0, np.nan, np.nan).below(1.2) is None
    assert str(Estimate(1.0, np.nan, np.nan)) == "1, error unknown"


def test_nothing_is_done_twice_and_more_seeds_cost_only_themselves(done: Reproduction) -> None:
    times = {each.path: (each.path / "run.json").stat().st_mtime_ns for each in done.networks}
    kept = {each.path: len(each.run.kept("lyapunov")) for each in done.networks}
    again = reproduce(PAPER, out=done.folder, seeds=3, progress=False)
    assert len(again.networks) == 6
    for path, time in times.items():
        assert (path / "run.json").stat().st_mtime_ns == time, f"{path} was trained again"
        assert len(rs.load_run(path).kept("lyapunov")) == kept[path] == 1, "an analysis was done again"
    assert again.judged("C2", "four") == ("not reproduced", 2, 0, 3)


def test_networks_in_processes_are_those_of_one_process(done: Reproduction, tmp_path: Path) -> None:
    said: list[str] = []
    other = reproduce(PAPER, out=tmp_path, claims=["C1"], conditions=["six"], jobs=2, say=said.append)
    assert len(said) == 2
    ours, theirs = done.of("C1", "six"), other.of("C1", "six")
    assert [each.measured and each.measured.numbers for each in ours] == [
        each.measured and each.measured.numbers for each in theirs
    ]


def test_a_claim_alone_needs_its_own_analyses_and_what_it_rests_on(tmp_path: Path) -> None:
    alone = reproduce(PAPER, out=tmp_path, claims=["C3"], seeds=1, conditions=["four"], progress=False)
    assert [claim.name for claim in alone.claims] == ["C2", "C3"]
    assert not alone.networks[0].run.results, "an analysis was run that no claim asked for"


def test_a_training_that_diverges_counts_against_what_is_claimed_of_trainings(tmp_path: Path) -> None:
    training = rs.Training(steps=30, batch_size=16, evaluate_every=5, evaluation_trials=64, learning_rate=1e30)
    task = tasks.HMMEmission("linear_chain:2", noise_size=4, length=8)
    wild = Preset(task, cells.Vanilla(8, nonlinearity="relu", bias=False), training, "it diverges")
    scale = Scale("seconds", {"wild": wild})
    bad = reproduce(Paper("bad", "t", "c", {"tiny": scale}, CLAIMS[1:3]), out=tmp_path, progress=False)
    assert bad.networks[0].diverged
    assert bad.judged("C2") == ("not reproduced", 0, 0, 1)
    assert bad.of("C3")[0].why_not == "its training diverged"
    assert "its training diverged" in write_reports(bad)[0].read_text()


def test_the_reports_say_what_was_found(done: Reproduction) -> None:
    page, notebook, table = write_reports(done)
    text = page.read_text()
    for words in (PAPER.title, *(claim.criterion for claim in PAPER.claims), "it takes a cluster", "an identity"):
        assert html.escape(words) in text, f"the page does not say {words!r}"
    assert "&lt;not markup&gt;" in text
    assert "<not markup>" not in text
    assert text.count("<figure data-figure") == 2, "one figure of C1 for each condition"
    assert str(done.folder) in html.unescape(text)
    written = json.loads(table.read_text())
    assert [claim["verdict"] for claim in written["claims"]] == list(verdicts(done).values())
    assert len(written["numbers"]) == 4 * 4, "a row for each network and claim that is tested"
    source = [line for cell in json.loads(notebook.read_text())["cells"] for line in cell["source"]]
    assert any("rs.reproduce('test'" in line for line in source)
    assert page.read_bytes() == write_reports(done)[0].read_bytes()


def test_the_table_has_each_number_with_its_interval(done: Reproduction) -> None:
    table = done.to_dataframe()
    row = table[(table.claim == "C1") & (table.run == "four-0")].iloc[0]
    found = float(done.networks[0].result("lyapunov").exponents[0])
    assert row.value == found
    assert row.high - row.low == pytest.approx(2 * 1.96 * 0.01)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"scale": "huge"}, "no scale 'huge'; known: tiny"),
        ({"claims": ["C9"]}, "no claim 'C9'; known: C1"),
        ({"conditions": ["five"]}, "no condition 'five' at scale tiny; known: four, six"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"jobs": 0}, "jobs must be at least 1"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_trained(asked: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        reproduce(PAPER, out=tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_an_unknown_analysis_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    wrong = Paper("wrong", "t", "c", {"tiny": PAPER.scales["tiny"]}, (*CLAIMS[:1], *CLAIMS[4:]))
    with pytest.raises(ValueError, match="unknown analysis 'stochastic_resonance_of_nothing'"):
        reproduce(wrong, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_paper_with_two_claims_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="two claims 'C1'"):
        Paper("p", "t", "c", {}, (CLAIMS[0], CLAIMS[0]))
    with pytest.raises(ValueError, match="C3 rests on 'C2', which has to stand before it"):
        Paper("p", "t", "c", {}, CLAIMS[2:3])


def test_the_command_trains_tests_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PAPERS, "test", PAPER)
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "test", "--claim", "C1,C2", "--seeds", "1", "--out", str(tmp_path / "out"), "--quiet"])
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    assert "C1 not large: reproduced in both conditions" in said
    assert (tmp_path / "out" / "report.html").exists()
    with pytest.raises(SystemExit):
        main(["reproduce", "test", "--plan", "--out", str(tmp_path / "plan")])
    assert "C5 too large: it takes a cluster" in capsys.readouterr().out
    assert not (tmp_path / "plan").exists()
    with pytest.raises(SystemExit):
        main(["list", "papers"])
    assert "test: A paper & its title" in capsys.readouterr().out
