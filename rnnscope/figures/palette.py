"""The colours of figures: Okabe and Ito's, which stay apart for colour-blind readers."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SEQUENTIAL = "Cividis"
STABLE, UNSTABLE, NEUTRAL = COLOURS[0], COLOURS[1], "#7F7F7F"
