"""What a drawing is: its options are checked as a verb's settings are, whoever draws it."""

import numpy as np
import pytest

from rnnscope.drawing import Drawing, own_drawing
from rnnscope.drawing_options import Dims, Rows, chosen_rows
from rnnscope.figures import mark_as_saying_little, new_figure, says_little, sentence_figure
from rnnscope.question import checked
from rnnscope.registry import ANALYSES


class Plain:
    @checked
    def figure(self, *, dims: Dims = 2, trials: Rows | None = None):
        """Nothing, named after its options."""
        return new_figure(f"{dims} {trials}")


class Same:
    @checked
    def figure(self, *, dims: Dims = 2, trials: Rows | None = None):
        return new_figure(f"same {dims} {trials}")


class Other:
    def figure(self, *, units: Rows | None = None):
        return new_figure("other")


def test_options_are_checked_and_listed():
    drawing = own_drawing("plain", "Plain", (Plain,), "trial")
    assert list(drawing.question.settings) == ["dims", "trials"]
    assert drawing.question.settings["dims"].words == "2 or 3"
    assert drawing.marks == "trial"
    assert drawing.draw(Plain(), dims=3, trials=np.array([1, 2])).layout.title.text == "3 (1, 2)"
    assert drawing.question.read({"trials": 4}) == {"trials": 4}
    for draw in (lambda **options: drawing.draw(Plain(), **options), Plain().figure):
        with pytest.raises(ValueError, match="dims must be 2 or 3, got 4"):
            draw(dims=4)
        with pytest.raises(ValueError, match="trials must be at least 0, got -1"):
            draw(trials=-1)
        with pytest.raises(TypeError, match=r"unknown setting .*trails; did you mean trials\? known: dims, trials"):
            draw(trails=4)


def test_a_drawing_without_options_takes_none():
    bare = Drawing("bare", "Bare", lambda result: new_figure(result))
    assert bare.draw("a title").layout.title.text == "a title"
    with pytest.raises(TypeError, match=r"unknown setting bare\.dims: bare takes none"):
        bare.draw("a title", dims=2)


def test_results_of_one_analysis_take_the_same_options():
    both = own_drawing("both", "Both", (Plain, Same))
    assert both.draw(Same(), dims=3).layout.title.text == "same 3 None"
    assert both.draw(Plain(), dims=3).layout.title.text == "3 None"
    with pytest.raises(TypeError, match=r"Other\.figure takes \(units\), Plain\.figure \(dims, trials\)"):
        own_drawing("mixed", "Mixed", (Plain, Other))


@pytest.mark.parametrize("name", ANALYSES)
def test_every_drawing_says_what_it_takes(name):
    for drawing in ANALYSES[name].figures.values():
        assert all(setting.words for setting in drawing.question.settings.values())
        assert drawing.question.read({}) == {}


def test_rows_that_an_option_chooses():
    assert chosen_rows(None, 3, "trials").tolist() == [0, 1, 2]
    assert chosen_rows(2, 3, "trials").tolist() == [2]
    assert chosen_rows((2, 0), 3, "trials").tolist() == [2, 0]
    with pytest.raises(ValueError, match="units has no row 3: there are 3, from 0 to 2"):
        chosen_rows(3, 3, "units")
    with pytest.raises(ValueError, match="units names a row twice"):
        chosen_rows([1, 1], 3, "units")
    with pytest.raises(ValueError, match="units names none"):
        chosen_rows([], 3, "units")
    with pytest.raises(ValueError, match="there are none"):
        chosen_rows(0, 0, "units")


def test_a_figure_that_says_little_says_so():
    figure = sentence_figure("Fixed points", "There is one,\n and it is stable.")
    assert says_little(figure) == "There is one, and it is stable."
    assert figure.layout.annotations[0].text == "There is one, and it is stable."
    assert says_little(new_figure("much")) == ""
    assert says_little(mark_as_saying_little(new_figure("much"), "but why")) == "but why"
    assert says_little(new_figure("more").update_layout(meta=[1])) == ""
