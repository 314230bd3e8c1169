"""What `import rnnscope` costs beyond `import torch`: medians over fresh interpreters, in turns.

python benchmarks/import_time.py
"""

import os
import statistics
import subprocess
import sys
import time

REPEATS = 9


def seconds(statement: str) -> float:
    # Byte code is cached, as it is by default: else one would time the compiler.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return time.perf_counter() - began


def main() -> None:
    statements = ("pass", "import torch", "import rnnscope", "import rnnscope.analyses")
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for repeat in range(REPEATS + 1):
        for statement in statements:
            took = seconds(statement)
            if repeat:  # the first round fills the disk cache
                times[statement].append(took)
    medians = {statement: statistics.median(kept) for statement, kept in times.items()}
    print("| statement | seconds | more than torch |")
    print("|---|---|---|")
    for statement, median in medians.items():
        print(f"| `{statement}` | {median:.2f} | {median - medians['import torch']:+.2f} |")


if __name__ == "__main__":
    main()
