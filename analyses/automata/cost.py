"""What the extraction of a machine takes."""

from rnnscope.cost import FLOAT, Expected, Scale, Settings

SYMBOL_LENGTH = 40  # where no task says how long words are
PREDICTED_LENGTH, EMITTED_LENGTH = 100, 200
PREDICTED_WORDS = 200
TESTED = 3  # times as many words are held out of a predictor
# What the presets' networks took: times that test words, and words to learn from, are read, and most words asked for;
# passes over what was read, of a number for each step; and how much more it is where models are fitted to it.
TESTS, LEARNS, ASKED, WORD_SCANS = 2.3, 10, 100_000, 800
EMITTER_ROUNDS, PREDICTOR_ROUNDS = 60.0, 60.0
SEEN = 2**22  # numbers in states that are kept at a time, about


def expected(scale: Scale, settings: Settings) -> Expected:
    task = scale.subject.task if settings["task"] is None else settings["task"]
    n_words, length, tested = settings["n_words"], settings["length"], settings["n_test_words"]
    predicts = settings["predicts_next"] if task is None else settings["predicts_next"] or task.predicts_next
    if predicts:
        length, n_words = length or PREDICTED_LENGTH, n_words or PREDICTED_WORDS
        counted, rounds = 2 * n_words * length + (tested or TESTED * n_words) * length, PREDICTOR_ROUNDS
    elif task is not None and task.loss == "sinkhorn":
        length = length or EMITTED_LENGTH
        counted, rounds = (2 * (n_words or 100) + (tested or 100)) * (length + 2 * scale.trial_steps), EMITTER_ROUNDS
    else:
        length = length or int(scale.trial_steps) or SYMBOL_LENGTH
        lengths = length + sum(each for each in settings["test_lengths"] if each > length)
        counted = TESTS * (tested or 200) * lengths + LEARNS * (n_words or 300) * length
        counted, rounds = counted + min(LEARNS * settings["budget"], ASKED), 1.0
    if rounds > 1 and not settings["compare"]:
        rounds /= 2
    reading = scale.unroll.of(1, counted) + scale.readout.of(1, counted)
    seconds = reading + rounds * counted * (WORD_SCANS * scale.scan + scale.n * scale.scan)
    # What emits or predicts keeps all its states, and the noise that it was shown.
    kept = 1.3 * counted * (scale.n + scale.n_inputs) if rounds > 1 else min(3 * counted * scale.n, 3 * SEEN)
    return scale.around(seconds, FLOAT * (kept + 12 * counted))
