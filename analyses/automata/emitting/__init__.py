"""Networks that turn noise into symbols: the hidden Markov model, beside the true one and others."""
