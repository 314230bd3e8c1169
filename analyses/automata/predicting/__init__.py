"""Networks that predict the next symbol: the probabilistic automaton, and what is lost when it takes their place."""
