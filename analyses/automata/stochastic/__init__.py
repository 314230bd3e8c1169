"""Networks that predict the next symbol or emit symbols out of noise: probabilistic machines."""
