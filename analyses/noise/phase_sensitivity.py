"""When in an episode does a small push count? Its size some steps later, by the phase of the episode it came in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.noise.episodes import Episodes
from rnnscope.analyses.noise.long_runs import LongRuns
from rnnscope.maps import CompleteMap

N_PHASES, N_EPISODES, N_PUSHES = 6, 60, 8  # enough for an error of some ten percent of a factor at each phase


@dataclass(frozen=True, kw_only=True)
class PhaseSensitivity:
    """How small pushes grow, from each phase of whole episodes on.

    Attributes:
        phase: 0 at the beginning of an episode, 1 at its end.
        gain: root mean square size of a push after `horizon` steps for a size of 1 at first; geometric mean over
            episodes.
        gain_error: standard error of its logarithm.
        horizon: steps after which it is looked at.
        of: what is pushed: "inputs", or the "state" of a map that takes none.
        n_episodes: how many episodes were looked at.
    """

    phase: Float[np.ndarray, " phase"]
    gain: Float[np.ndarray, " phase"]
    gain_error: Float[np.ndarray, " phase"]
    horizon: int
    of: str
    n_episodes: int


def phase_sensitivity(
    state_map: CompleteMap, runs: LongRuns, episodes: Episodes, horizon: int, rng: np.random.Generator
) -> PhaseSensitivity | None:
    """Carry pushes in random directions along the run by the map's Jacobians; in inputs they come in the first of the
    steps. None where no episode is seen from beginning to end, with as many steps after it."""
    total = runs.states.shape[1]
    ends = episodes.begin + episodes.length
    usable = np.flatnonzero(episodes.whole & (ends + horizon < total) & (episodes.begin > 0))
    if not len(usable):
        return None
    chosen = np.sort(rng.permutation(usable)[:N_EPISODES])
    phase = np.linspace(0, 1, N_PHASES)
    begin, length = episodes.begin[chosen, None], episodes.length[chosen, None]
    time = (begin + np.round(phase * (length - 1))).astype(np.int64).ravel()  # (episode, phase)
    run = np.repeat(episodes.run[chosen], N_PHASES)
    into_inputs = state_map.input_size > 0
    size = state_map.input_size if into_inputs else state_map.state_size
    pushes = rng.standard_normal((len(time), size, N_PUSHES))
    pushes /= np.linalg.norm(pushes, axis=1, keepdims=True)
    vectors = pushes
    with np.errstate(all="ignore"):
        for k in range(horizon):
            states, shown = runs.states[run, time + k], runs.inputs[run, np.minimum(time + k + 1, total - 1)]
            if k == 0 and into_inputs:
                vectors = state_map.input_jacobian(states, shown) @ pushes
            else:
                vectors = state_map.jvp(states, shown, vectors)
        grown = np.sqrt((vectors**2).sum(1).mean(1)).reshape(-1, N_PHASES)
        logs = np.log(np.maximum(grown, 1e-300))
    logs = logs[np.isfinite(logs).all(1)]
    if not len(logs):
        return None
    error = logs.std(0, ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.full(N_PHASES, np.nan)
    return PhaseSensitivity(
        phase=phase,
        gain=np.exp(logs.mean(0)),
        gain_error=error,
        horizon=horizon,
        of="inputs" if into_inputs else "state",
        n_episodes=len(logs),
    )
