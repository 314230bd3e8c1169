"""Networks that count: how they are recognised, and a stack or a counter in place of a finite machine."""
