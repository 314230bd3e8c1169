"""Run the tests under every kernel that this processor can run: `make test-kernels`.

numpy, scipy and torch choose by processor which code computes products, factorisations and functions, and each adds up
in another order. Environment variables choose in their place; a kernel that this processor cannot run is left out.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__  # what numpy chooses from, as np.show_runtime prints it

LOGS = Path("build/test-kernels")
AVX2, AVX512 = {"avx2", "fma"}, {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
# For each, the flags in /proc/cpuinfo that it takes and its variables: OPENBLAS is numpy's and scipy's; MKL, ONEDNN and
# ATEN are torch's, products and functions; NPY lists the functions of numpy that are not to be chosen from.
KERNELS: dict[str, tuple[set[str], dict[str, str]]] = {
    "as chosen": (set(), {}),
    "Nehalem": (
        {"sse4_2"},
        {
            "OPENBLAS_CORETYPE": "Nehalem",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "ATEN_CPU_CAPABILITY": "default",
            "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__),
        },
    ),
    "Haswell": (
        AVX2,
        {
            "OPENBLAS_CORETYPE": "Haswell",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "NPY_DISABLE_CPU_FEATURES": " ".join(each for each in __cpu_dispatch__ if "V4" in each or "512" in each),
        },
    ),
    "Zen": (AVX2, {"OPENBLAS_CORETYPE": "Zen", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ATEN_CPU_CAPABILITY": "avx2"}),
    "SkylakeX": (
        AVX2 | AVX512,
        {"OPENBLAS_CORETYPE": "SkylakeX", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "default"},
    ),
}


def processor_flags() -> set[str]:
    """What /proc/cpuinfo says that the processor can do; nothing where there is no such file."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set())


def main(arguments: list[str]) -> int:
    flags, n_failed = processor_flags(), 0
    LOGS.mkdir(parents=True, exist_ok=True)
    own = {name for _, variables in KERNELS.values() for name in variables}
    for name, (needed, variables) in KERNELS.items():
        if needed - flags:
            print(f"{name}: left out, this processor has no {' '.join(sorted(needed - flags))}", flush=True)
            continue
        environment = {key: value for key, value in os.environ.items() if key not in own} | variables
        log, began = LOGS / f"{name.replace(' ', '-')}.log", time.monotonic()
        with log.open("w") as file:
            command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", *arguments]
            code = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT).returncode
        n_failed += code != 0
        said = f"failed, see {log}" if code else "passed"
        print(f"{name}: {said}, {time.monotonic() - began:.0f} s", flush=True)
    return int(n_failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
