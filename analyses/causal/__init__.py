"""What is a cause: the network is changed, and what it does is looked at."""
