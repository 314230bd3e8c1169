"""The papers that can be reproduced. One more is one file beside this one, and one line here."""

from rnnscope.experiments.reproductions import geometry, hmm, timescales
from rnnscope.experiments.reproductions.paper import Paper

PAPERS: dict[str, Paper] = {each.name: each for each in (hmm.PAPER, geometry.PAPER, timescales.PAPER)}


def paper(name: str) -> Paper:
    """The paper of this name; a ValueError lists them where there is none."""
    if name not in PAPERS:
        raise ValueError(f"unknown paper {name!r}; known: {', '.join(PAPERS)}")
    return PAPERS[name]
