"""How an intervention is written in results, messages and figures."""

import hashlib
import json
from dataclasses import fields
from typing import Any

import numpy as np

# Letters that are shown of a setting; of a longer one the digest tells it from others.
MOST_SHOWN = 60


def described(self: Any) -> str:
    """As Python writes it, without what is as by default; of long settings the digest."""
    words = []
    for each in fields(self):
        value = getattr(self, each.name)
        if value != each.default:
            text = repr(value)
            if len(text) > MOST_SHOWN:
                digest = hashlib.blake2b(json.dumps(value).encode(), digest_size=4).hexdigest()
                text = f"<{np.size(np.array(value))} numbers, {digest}>"
            words.append(f"{each.name}={text}")
    return f"{type(self).__name__}({', '.join(words)})"
