"""One training: its state, its steps, and what it keeps on disk.

Every step draws its trials and its noise from (seed, step) alone. Going on after an interruption therefore needs no
state of any random generator, and ends with the same weights, bit for bit, as training in one go.
"""

import csv
import io
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rnnscope.learning import losses, moments
from rnnscope.learning.settings import Training
from rnnscope.network import Network
from rnnscope.records import runs, writing
from rnnscope.records.runs import Run, RunError
from rnnscope.tasks.hmm import HMM
from rnnscope.tasks.task import Task, Trials

# What a random stream is for; with the seed and the step it makes the stream.
_TRAIN, _EVALUATE, _STAGE, _FINAL, _WEIGHTS, _PROBE, _ROLLOUT = range(7)
_ROLLOUT_STEPS = 1000
_OPTIMISER_KEYS = {"adam": ("step", "exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}
_RESUME = "resume.safetensors"


class TrainingDiverged(RuntimeError):
    """Training stopped because the loss or the state was no longer finite; `run` holds the last good weights."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


@dataclass(frozen=True)
class Progress:
    """How far a training is: what `on_progress` is called with at every logged step."""

    step: int
    steps: int
    loss: float
    metrics: Mapping[str, float]
    stage: str


class Trainer:
    """The state of one training, and its steps."""

    def __init__(self, run: Run, task: Task, training: Training, device: torch.device) -> None:
        self.record, self.task, self.training, self.device = run, task, training, device
        generator = torch.Generator().manual_seed(self._integer(_WEIGHTS, 0))
        self.network = runs.blank_network(task, run.cell, run.settings, generator).to(device)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser = _optimiser(training, self.parameters)
        self.stages = [None] if training.curriculum is None else training.curriculum.stages(task.ns)
        self.stage, self.step, self.seconds = 0, 0, 0.0
        self.rows: list[dict[str, float]] = []
        self.latest: dict[str, float] = {}
        self.process_moments: dict[int, moments.Moments] = {}  # by length of trials
        self._load()

    def run_to_the_end(self, report: Callable[[Progress], None]) -> Run:
        began = time.perf_counter() - self.seconds
        self.begin()
        while self.step < self.training.steps:
            trouble, loss = self._update()
            ended = self.advance(trouble, loss, time.perf_counter() - began, report)
            if ended is not None:
                return ended
        return self.end()

    def begin(self) -> None:
        """Make ready for the first step, or for the next."""
        self._set_stage()
        if self.step == 0 and 0 in self.training.checkpoints:
            writing.update_run(self.record, self._weights())

    def advance(self, trouble: str, loss: float, seconds: float, report: Callable[[Progress], None]) -> Run | None:
        """All that belongs to a step but the step itself: what is measured, logged and kept.

        Args:
            trouble: what was wrong with the step, "" for nothing.
            loss: its loss.
            seconds: spent on this training so far.
            report: called with how far it is.

        Returns:
            The run where it is learned and over; None where it goes on.

        Raises:
            TrainingDiverged: something was wrong with it.
        """
        training, logged = self.training, self.logged
        if trouble:
            self._log(loss, {})
            return self._stop_diverged(trouble)
        self.step += 1
        self.seconds = seconds
        evaluated = self.step % training.evaluate_every == 0 or self.step == training.steps
        wanted = self.step in training.checkpoints
        if (evaluated or wanted) and (trouble := self._trouble_with_weights()):
            self._log(loss, {})
            return self._stop_diverged(trouble)
        if wanted:
            writing.update_run(self.record, self._weights())
        if evaluated:
            self.latest = self._metrics(_EVALUATE, training.evaluation_trials)
        if logged or evaluated:
            self._log(loss if logged else math.nan, self.latest if evaluated else {})
            report(Progress(self.step, training.steps, loss, self.latest, self._stage_label()))
        done = evaluated and training.stop_when_learned and self._at_last_stage() and self._learned(self.latest)
        # On other, and more, trials too: one lucky evaluation does not end a training.
        if done and self._learned(metrics := self._final_metrics()):
            return self._finish("learned", metrics)
        self._go_to_next_stage_if_passed()
        if self.step % training.evaluate_every == 0:
            self._save()
        return None

    def end(self) -> Run:
        """Judge and keep a training whose steps are done."""
        self.stage = len(self.stages) - 1  # a curriculum that was not passed is judged by its end all the same
        self._set_stage()
        metrics = self._final_metrics()
        return self._finish("learned" if self._learned(metrics) else "finished", metrics)

    @property
    def logged(self) -> bool:
        """Whether the next step stands in the history."""
        return (self.step + 1) % self.training.log_every == 0 or self.step + 1 == self.training.steps

    def draw(self) -> tuple[Trials, torch.Generator]:
        """The trials of the next step, and what draws its initial states and its noise."""
        rng = self._rng(_TRAIN, self.step)
        trials = self.stage_task.sample(self.training.batch_size, rng)
        return trials, torch.Generator().manual_seed(int(rng.integers(2**62)))

    def _update(self) -> tuple[str, float]:
        """One gradient step; says what is wrong, if anything, before the weights are touched."""
        trouble, loss = self.gradient()
        return (trouble, loss) if trouble else self.apply(loss)

    def gradient(self) -> tuple[str, float]:
        """Find the gradient of the next step, where the optimiser looks for it: what is wrong, and the loss."""
        trials, generator = self.draw()
        states = self.network.states(
            torch.from_numpy(trials.inputs).to(self.device), noise=self.training.noise, generator=generator
        )
        if trouble := self.trouble_with_states(states[:, -1]):
            return trouble, math.nan
        loss = self.loss(self.network, states, trials, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        return "", loss.item()

    def apply(self, value: float) -> tuple[str, float]:
        """Move the weights by the gradient that they have; says what is wrong, if anything, before they are touched."""
        training = self.training
        for group in self.optimiser.param_groups:
            group["lr"] = training.learning_rate * training.decay.factor(self.step, training.steps)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, training.clip or math.inf)
        if not math.isfinite(value):
            return f"the loss is {value}", value
        if not math.isfinite(norm.item()):
            return f"the norm of the gradient is {norm.item()}", value
        self.optimiser.step()
        self.network.cell.project()
        return "", value

    def trouble_with_states(self, last: Tensor) -> str:
        """What is wrong with the last states of trials: what is not finite, or explodes, still does so there."""
        largest = last.detach().abs().max().item()
        if largest <= self.training.max_state:
            return ""
        return f"the state reached {largest:.3g}, beyond max_state = {self.training.max_state:g}"

    @torch.no_grad()
    def _trouble_with_weights(self) -> str:
        """What is wrong with weights that are to be kept: an update can ruin them, and only the next step would see."""
        rng = self._rng(_PROBE, self.step)
        inputs = torch.from_numpy(self.stage_task.sample(min(64, self.training.batch_size), rng).inputs)
        states = self.network.states(inputs.to(self.device), generator=torch.Generator().manual_seed(0))
        if trouble := self.trouble_with_states(states[:, -1]):
            return trouble
        if not torch.isfinite(self.network.read(states[:, -1])).all():
            return "the outputs are not finite"
        return ""

    def loss(self, network: losses.Reads, states: Tensor, trials: Trials, generator: torch.Generator) -> Tensor:
        """The loss of the next step: what `network` reads off its states beside what the trials want."""
        targets = torch.from_numpy(trials.targets).to(self.device)
        mask = torch.from_numpy(trials.mask).to(self.device)
        match self.task.loss:
            case "cross_entropy":
                loss = losses.cross_entropy(network, states, targets, mask, self.heads, self.task.n_heads)
            case "mse":
                loss = losses.mean_squared_error(network, states, targets, mask)
            case "sinkhorn":
                loss = self._emission_loss(network, states, targets, generator)
        weight = self.training.consistency
        return loss + weight * losses.unrest(states, mask) if weight else loss

    def _emission_loss(
        self, network: losses.Reads, states: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        training, until = self.training, self.training.moments_until
        if until is not None and self.step < until:
            loss = moments.moment_error(network, states, self._process_moments(states))
        else:
            # The constant costs time and moves no weight: only rows of the history need it.
            unbiased = training.unbiased_from is not None and self.step >= training.unbiased_from
            loss = losses.emission_divergence(network, states, targets, generator, self.logged, unbiased)
        return loss + training.steady * moments.growth(states) if training.steady else loss

    def _process_moments(self, states: Tensor) -> moments.Moments:
        """Of trials as long as these; made once, since all trials are."""
        length = states.shape[1]
        if length not in self.process_moments:
            hmm = self.task.ground_truth
            assert isinstance(hmm, HMM), "settings are checked before training begins"
            self.process_moments[length] = moments.process_moments(hmm, length, states)
        return self.process_moments[length]

    # Curriculum

    def _set_stage(self) -> None:
        heads = self.stages[self.stage]
        self.stage_task: Task = self.task if heads is None else self.task.restrict(heads)
        ns = self.task.ns
        self.heads = None if heads is None or len(heads) == len(ns) else [ns.index(n) for n in heads]

    def _go_to_next_stage_if_passed(self) -> None:
        curriculum, heads = self.training.curriculum, self.stages[self.stage]
        if curriculum is None or heads is None or self._at_last_stage() or self.step % curriculum.every:
            return
        if curriculum.passed(self._metrics(_STAGE, curriculum.trials), heads[-1]):
            self.stage += 1
            self._set_stage()

    def _at_last_stage(self) -> bool:
        return self.stage == len(self.stages) - 1

    def _stage_label(self) -> str:
        heads = self.stages[self.stage]
        if not heads:
            return ""
        return f"N = {heads[0]}" if len(heads) == 1 else f"N = {heads[0]}..{heads[-1]}"

    # Measuring

    def _metrics(self, stream: int, n_trials: int) -> dict[str, float]:
        rng = self._rng(stream, self.step)
        return measure(self.network, self.stage_task, self.heads, n_trials, rng, self.training.noise)

    def _final_metrics(self) -> dict[str, float]:
        metrics = self._metrics(_FINAL, 4 * self.training.evaluation_trials)
        if self.task.loss == "sinkhorn":
            metrics["rollout_max"] = self._largest_state_of_long_rollouts()
        return metrics

    @torch.no_grad()
    def _largest_state_of_long_rollouts(self) -> float:
        """An emitter has no trials to end it: one that explodes after the trained length is no copy of its HMM."""
        rng = self._rng(_ROLLOUT, self.step)
        noise = torch.from_numpy(rng.standard_normal((32, _ROLLOUT_STEPS, self.task.input_size), np.float32))
        states = self.network.states(noise.to(self.device), generator=torch.Generator().manual_seed(0))
        return states.abs().max().item()

    def _learned(self, metrics: Mapping[str, float]) -> bool:
        bounded = metrics.get("rollout_max", 0.0) <= self.training.max_state
        return bounded and all(criterion.met(metrics) for criterion in self.task.criterion)

    def _log(self, loss: float, metrics: Mapping[str, float]) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 3), "loss": loss}
        if self.training.curriculum is not None:
            row["stage"] = self.stage
        self.rows.append({**row, **metrics})

    # Keeping

    def _weights(self) -> dict[str, bytes | None]:
        return {runs.checkpoint_name(self.step): writing.tensor_bytes(self.network.state_dict())}

    def _save(self) -> None:
        """Write everything that going on needs. The history comes first: its later rows are cut off on the way back."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, parameter in enumerate(self.parameters):
            for key in _OPTIMISER_KEYS[self.training.optimiser]:
                value = self.optimiser.state.get(parameter, {}).get(key)
                if value is not None:
                    tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value)
        place = {"step": self.step, "stage": self.stage, "seconds": self.seconds, "latest": self.latest}
        resume = writing.tensor_bytes(tensors, {"place": json.dumps(place)})
        writing.update_run(self.record, {**self._history(), _RESUME: resume})

    def _load(self) -> None:
        path = self.record.path / _RESUME
        if not path.exists():
            return
        tensors, metadata = writing.read_tensors(self.record.path, _RESUME)
        try:
            place = json.loads(metadata["place"])
            weights = {n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")}
            self.network.load_state_dict(weights)
            self.step, self.stage = int(place["step"]), int(place["stage"])
            self.seconds, self.latest = float(place["seconds"]), dict(place["latest"])
            self._load_optimiser(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{path} does not fit this run ({reason}): delete it to train from the first step") from None
        history = self.record.history
        for i, step in enumerate(history.get("step", ())):
            if step <= self.step:
                row = {name: float(column[i]) for name, column in history.items() if not math.isnan(column[i])}
                self.rows.append({**row, "step": int(step)})

    def _load_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        needed = _OPTIMISER_KEYS[self.training.optimiser] if self._optimiser_has_state() else ()
        state = {
            index: {key: tensors[f"optimiser.{index}.{key}"] for key in needed} for index in range(len(self.parameters))
        }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state if needed else {}, "param_groups": groups})

    def _optimiser_has_state(self) -> bool:
        return self.training.optimiser == "adam" or self.training.momentum > 0

    def _history(self) -> dict[str, bytes | None]:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return {"history.csv": text.getvalue().encode()}

    def _finish(self, status: runs.Status, metrics: Mapping[str, float]) -> Run:
        return writing.update_run(
            self.record,
            {**self._weights(), **self._history(), _RESUME: None},
            status=status,
            steps_done=self.step,
            seconds=round(self.seconds, 2),
            metrics=dict(metrics),
        )

    def _stop_diverged(self, trouble: str) -> Run:
        """Leave the run with its last good weights as its last checkpoint; all weights that are kept were checked."""
        files, kept = self._history(), max(self.record.checkpoints, default=-1)
        if (self.record.path / _RESUME).exists():
            tensors, metadata = writing.read_tensors(self.record.path, _RESUME)
            weights = {n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")}
            step = json.loads(metadata["place"])["step"]
            if step > kept:
                files[runs.checkpoint_name(step)] = writing.tensor_bytes(weights)
                kept = step
        if kept < 0:
            generator = torch.Generator().manual_seed(self._integer(_WEIGHTS, 0))
            blank = runs.blank_network(self.task, self.record.cell, self.record.settings, generator)
            files[runs.checkpoint_name(0)] = writing.tensor_bytes(blank.state_dict())
            kept = 0
        run = writing.update_run(
            self.record,
            {**files, _RESUME: None},
            status="diverged",
            steps_done=self.step,
            seconds=round(self.seconds, 2),
        )
        raise TrainingDiverged(
            f"training of {run.name} diverged at step {self.step}: {trouble}. The weights of step {kept} are kept. "
            f"Try a smaller learning_rate (it is {self.training.learning_rate:g}), a smaller clip "
            f"(it is {self.training.clip}), or another seed",
            run,
        )

    # Randomness

    def _rng(self, stream: int, step: int) -> np.random.Generator:
        return np.random.default_rng([self.record.seed, stream, step])

    def _integer(self, stream: int, step: int) -> int:
        return int(self._rng(stream, step).integers(2**62))


def measure(
    network: Network, task: Task, heads: list[int] | None, n_trials: int, rng: np.random.Generator, noise: float
) -> dict[str, float]:
    trials = task.sample_fresh(n_trials, rng)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    device = next(network.parameters()).device
    with torch.no_grad():
        states = network.states(torch.from_numpy(trials.inputs).to(device), noise=noise, generator=generator)
        outputs = network.read(states).cpu().numpy()
    if heads is not None:
        by_head = outputs.reshape(*outputs.shape[:2], -1, task.output_size // task.n_heads)
        outputs = by_head[:, :, heads].reshape(*outputs.shape[:2], -1)
    return task.metrics(outputs, trials, rng)


def _optimiser(training: Training, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    if training.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=training.learning_rate, betas=training.betas, fused=True)
    nesterov = training.momentum > 0
    return torch.optim.SGD(parameters, lr=training.learning_rate, momentum=training.momentum, nesterov=nesterov)
