"""A step of sharpness-aware minimization of the 6-layer CNN: Relief beside PyTorch, from the same weights on the same images.

PyTorch takes a gradient, climbs by rho g/|g|, takes the gradient there, goes back and lets SGD with momentum step, as is usual
(two passes, tensors kept aside). Both take turns; losses must agree along the way.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(__file__).resolve().parent / ".work"
sys.path.insert(0, str(ROOT / "benches/peers"))
import networks

MODEL, RHO, ETA, MOMENTUM = "cnn", 0.05, 0.01, 0.9


class PyTorch:
    def __init__(self, weights, x, y, sam):
        self.net = networks.build(MODEL)
        self.net.load_state_dict(weights)
        self.optimiser = torch.optim.SGD(self.net.parameters(), ETA, MOMENTUM)
        self.x, self.y, self.sam = x, y, sam

    def backward(self):
        self.optimiser.zero_grad()
        loss = networks.loss(self.net(self.x), self.y)
        loss.backward()
        return loss.item()

    def step(self):
        loss = self.backward()
        if self.sam:
            with torch.no_grad():
                parameters = list(self.net.parameters())
                norm = torch.stack([p.grad.norm() for p in parameters]).norm()
                kept = [p.clone() for p in parameters]
                for p in parameters:
                    p.add_(p.grad * (RHO / (norm + 1e-12)))
            self.backward()
            with torch.no_grad():
                for p, old in zip(parameters, kept):
                    p.copy_(old)
        self.optimiser.step()
        return loss

    def run(self, steps):
        begun = time.perf_counter()
        losses = [self.step() for _ in range(steps)]
        return (time.perf_counter() - begun) / steps, losses


class Relief:
    def __init__(self, batch, threads, sam):
        worker = ROOT / "target/release/examples/training_worker"
        files = [WORK / "net.safetensors", WORK / f"images-{batch}.safetensors"]
        command = [worker, MODEL, *files, batch, threads, "sam" if sam else "plain"]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def run(self, steps):
        print(steps, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["losses"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="steps of a round")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    torch.manual_seed(0)
    weights = {name: w.clone() for name, w in networks.build(MODEL).state_dict().items()}
    save_file(weights, WORK / "net.safetensors")
    print(f"| rule | batch | threads | Relief | PyTorch {torch.__version__} | Relief/PyTorch |")
    print("|---|---|---|---|---|---|")
    for batch in (32, 128):
        x, y = torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))
        save_file({"x": x, "y": y}, WORK / f"images-{batch}.safetensors")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for sam in (False, True):
                sides = [Relief(batch, threads, sam), PyTorch(weights, x, y, sam)]
                times = [[], []]
                for nth in range(options.rounds + 1):
                    found = [side.run(options.steps) for side in sides]
                    if nth > 0:  # the first warms up
                        for kept, (seconds, _) in zip(times, found):
                            kept.append(1e3 * seconds)
                    worst = max(abs(a - b) / b for a, b in zip(found[0][1], found[1][1]))
                    if worst > 1e-2:
                        sys.exit(f"losses disagree by {worst:.1e}")
                sides[0].process.stdin.close()
                middle = [statistics.median(kept) for kept in times]
                cells = [f"{m:.1f} ms ({min(t):.1f}..{max(t):.1f})" for m, t in zip(middle, times)]
                rule = "SAM" if sam else "SGD"
                print(f"| {rule} | {batch} | {threads} | {cells[0]} | {cells[1]} | {middle[0] / middle[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
