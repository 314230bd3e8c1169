"""Default settings of training, under the names by which tasks ask for them (`Task.default_training`)."""

from rnnscope.learning.schedules import Curriculum, Decay
from rnnscope.learning.settings import Training
from rnnscope.tasks.task import Task

_COURSE = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200)  # dense where most happens

TRAININGS: dict[str, Training] = {
    "plain": Training(),
    "heads": Training(
        learning_rate=2e-3, batch_size=128, steps=20000, evaluate_every=50, curriculum=Curriculum(), checkpoints=_COURSE
    ),
    "regression": Training(
        learning_rate=2e-3, batch_size=64, steps=6000, evaluate_every=100, decay=Decay("cosine"), checkpoints=_COURSE
    ),
    "emission": Training(
        steps=1000,
        batch_size=512,
        learning_rate=1e-3,
        betas=(0.9, 0.9),
        decay=Decay("cosine", final=0.05),  # the last steps average over the noise of the divergence
        clip=0.9,
        unbiased_from=0,  # with the divergence itself, rare symbols and moves between states come out too rare
        readout_bias=False,
        evaluate_every=100,
        evaluation_trials=2048,
        stop_when_learned=False,
        checkpoints=tuple(range(0, 1000, 100)),
    ),
    # Emission by moments to the end: after them the energy of sequences, whose gradient is far noisier, made copies
    # worse. The narrow clip keeps steps alike where a few batches have large gradients; without `steady`, states grew
    # without end beyond the trained length.
    "moments": Training(
        steps=1000,
        batch_size=512,
        learning_rate=3e-3,
        betas=(0.9, 0.99),
        decay=Decay("cosine", final=0.1),
        clip=0.1,
        unbiased_from=0,
        moments_until=1000,
        steady=0.3,
        readout_bias=False,
        evaluate_every=100,
        evaluation_trials=2048,
        stop_when_learned=False,
        checkpoints=(0, 10, 20, 40, 80, 150, 250, 400, 600, 800),
    ),
    # Noise, and going on after the task is learned, pull states together that should be one: the network then holds far
    # beyond the lengths it was trained on.
    "language": Training(
        learning_rate=3e-3,
        batch_size=64,
        steps=1500,
        noise=0.05,
        decay=Decay("cosine", final=0.05),
        evaluate_every=250,
        stop_when_learned=False,
        checkpoints=_COURSE,
    ),
    # The divergence goes on falling for as long as the learning rate does, long after the criterion is met.
    "next-symbol": Training(
        learning_rate=5e-3,
        batch_size=64,
        steps=2000,
        decay=Decay("cosine", final=0.02),
        evaluate_every=250,
        stop_when_learned=False,
        checkpoints=_COURSE,
    ),
}


def default_training(task: Task) -> Training:
    """Return the settings that the task names.

    Raises:
        ValueError: there are no settings of that name.
    """
    if task.default_training not in TRAININGS:
        raise ValueError(
            f"{type(task).__name__} names {task.default_training!r} as its default training; known: "
            f"{', '.join(TRAININGS)}. Name one of these, give training=, or add "
            f"rnnscope.learning.defaults.TRAININGS[{task.default_training!r}]"
        )
    return TRAININGS[task.default_training]
