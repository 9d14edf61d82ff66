"""Run all experiments of learnable front-ends, one after the other, and write the page.

    python benchmarks/learning/run.py            # about two hours on two cores
    python benchmarks/learning/run.py --report   # tables and pictures of the results that are there

Options are passed on to every experiment; each one is a command of its own, too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXPERIMENTS = (
    "recovery", "window_length", "hops", "imitation", "rates", "tones", "digits", "families",
    "starts", "robustness", "cost", "analyses",
)  # fmt: skip


def main() -> None:
    for name in EXPERIMENTS:
        print(f"\n{name}\n", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        subprocess.run([sys.executable, script, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
