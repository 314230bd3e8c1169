"""Networks that read words and decide: the Moore machine, and how far it agrees with the network."""
