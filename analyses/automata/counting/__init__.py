"""Networks that count: what tells them, and a stack or a counter in place of a finite machine."""
