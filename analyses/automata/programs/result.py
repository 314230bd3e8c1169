"""The program of a network, and how far it is to be trusted."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.percent import percent
from rnnscope.tasks.programs.program import Program


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Program and network on held-out words.

    Attributes:
        lengths: of the words.
        n_words: of each length.
        symbols: the share of symbols with which both show the same.
        words: the share of words with all of whose symbols they do.
        follows: the network shows what the program shows up to this symbol of every word of the last length, at least.
    """

    lengths: Int64[np.ndarray, " length"]
    n_words: int
    symbols: Float[np.ndarray, " length"]
    words: Float[np.ndarray, " length"]
    follows: int


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """The registers of the program read from the network's states: z = round(A h + b).

    Attributes:
        weights: A.
        bias: b.
        right: the share of prefixes of held-out words at which that is the register, of each.
        chance: the same for the value that each has most often.
    """

    weights: Float[np.ndarray, "register unit"]
    bias: Float[np.ndarray, " register"]
    right: Float[np.ndarray, " register"]
    chance: Float[np.ndarray, " register"]


@dataclass(frozen=True, kw_only=True)
class NetworkProgram:
    """What `find_program` found.

    Attributes:
        program: the program; None where none of those that were tried has the network's answers.
        agreement: of it and the network; None without a program.
        decoding: of its registers; None without a program, or of one that keeps nothing.
        n_examples: symbols of which the answer was looked at to find it.
    """

    program: Program | None
    agreement: Agreement | None
    decoding: Decoding | None
    n_examples: int

    def to_python(self, name: str = "step") -> str:
        """The program as Python text: see `rnnscope.tasks.programs.Program.to_python`.

        Raises:
            ValueError: none was found.
        """
        if self.program is None:
            raise ValueError("no program was found for this network: see `extract_automaton` for a finite machine")
        return self.program.to_python(name)

    def summary(self) -> str:
        """What was found and how far it is to be trusted, in a few sentences."""
        if self.program is None or self.agreement is None:
            return f"none of the programs that were tried has the network's answers to {self.n_examples} symbols"
        n, agreement = len(self.program.registers), self.agreement
        size = "formulas only" if self.program.n_rows == 0 else f"a table of {self.program.n_rows} rows"
        parts = [f"a program that keeps {n} number{'s' * (n != 1)}, with {size}"]
        for length, symbols, words in zip(agreement.lengths, agreement.symbols, agreement.words, strict=True):
            parts.append(
                f"on {agreement.n_words} held-out words of {length} symbols it shows what the network shows with "
                f"{percent(symbols, 1)} of the symbols, with all of them in {percent(words, 1)} of the words"
            )
        parts.append(f"in all words of {agreement.lengths[-1]} they are the same up to symbol {agreement.follows}")
        if self.decoding is not None:
            for register, right, chance in zip(
                self.program.registers, self.decoding.right, self.decoding.chance, strict=True
            ):
                parts.append(
                    f"{register.name} can be read from the states, rounded, at {percent(right, 1)} of held-out "
                    f"prefixes (its commonest value alone: {percent(chance, 1)})"
                )
        return "; ".join(parts)
