"""What a gradient and a product ask of a card, counted on a machine without one: launches of kernels, products of matrices,
allocations, and copies between host and card. A launch keeps the host busy for some microseconds, so that these numbers and the
arithmetic beside them say which workloads small kernels dominate.

    scripts/cuda/pretend.sh build --example peer_worker
    benches/peers/.venv/bin/python benches/cuda/launches.py

The numbers do not depend on the number of examples, as long as they are one batch.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))

from compare import floating_point_operations

import measure
import tools
import workloads
from workloads import Workload

CHECK = tools.ROOT / "target/cuda-check"
WORKER = CHECK / "release/examples/peer_worker"
# Those of measure.py, and the perceptron.
CASES = {**{name: workload for name, (workload, _) in measure.CASES.items()}, "mlp": workloads.WORKLOADS["mlp"]}
# Examples: fewer ask for the same.
COUNTED = 2
KINDS = ("ours", "candle", "matrix", "allocation", "to_card", "bytes_to_card", "from_card", "bytes_from_card")


def counts(name, commands):
    """What the worker asks for from its start to its end."""
    files = [workloads.weights_file(name), workloads.data_file(name, COUNTED), workloads.direction_file(name)]
    environment = {**os.environ, "RELIEF_DEVICE": "cuda", "PRETEND_COUNTS": "1", "LD_LIBRARY_PATH": str(CHECK / "pretend")}
    command = [str(WORKER), workloads.ALL[name].spec, *map(str, files), "f32", "1"]
    done = subprocess.run(command, input="\n".join(commands), text=True, capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the worker stopped at {name}:\n{done.stderr[-2000:]}")
    lines = [line.split() for line in done.stderr.splitlines() if line.startswith("pretend: ")]
    return {kind: int(number) for _, kind, number in lines}


def main():
    print("| case | | our kernels | candle's | matrix products | allocations | copies to the card | from it | GFLOP |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, workload in CASES.items():
        examples = max(workload.sizes)
        workloads.ALL[name] = Workload(workload.spec, workload.shape, (COUNTED,), workload.classes)
        workloads.export(name)
        work = floating_point_operations(name, examples)
        for figure, before in (("gradient", []), ("hvp", ["linearize"])):
            # The first of a kind compiles what it needs.
            twice, thrice = (counts(name, before + [figure] * times) for times in (2, 3))
            one = {kind: thrice[kind] - twice[kind] for kind in KINDS}
            copies = (f"{one[way]} ({one['bytes_' + way] / 1e6:.3g} MB)" for way in ("to_card", "from_card"))
            cells = (one["ours"], one["candle"], one["matrix"], one["allocation"], *copies, f"{work[figure] / 1e9:.0f}")
            title = {"gradient": "gradient", "hvp": "product"}[figure]
            print(f"| {name} {examples} | {title} | " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
