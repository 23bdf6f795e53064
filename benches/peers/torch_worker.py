"""One workload in PyTorch, timed on request, with the commands and answers of worker.rs.

MODEL WEIGHTS DATA DIRECTION f32|f64 THREADS. All examples are one batch, as PyHessian and curvlinops treat one.
"""

import json
import sys
import time

import torch
from safetensors.torch import load_file
from torch.func import functional_call, jvp, vjp

import networks


def dot(a, b):
    return sum(torch.dot(x.flatten(), y.flatten()).item() for x, y in zip(a, b))


class Worker:
    def __init__(self, spec, weights, data, direction, dtype):
        self.dtype = {"f32": torch.float32, "f64": torch.float64}[dtype]
        self.net = networks.build(spec)
        # Not strict: the output layer of the transformer is tied to the token table and not saved again.
        missing = self.net.load_state_dict(load_file(weights), strict=False)
        wrong = [k for k in missing.missing_keys if "tracked" not in k and k != "lm_head.weight"]
        if wrong or missing.unexpected_keys:
            raise SystemExit(f"weights do not fit: {wrong} {missing.unexpected_keys}")
        self.net.to(self.dtype)
        names, self.params = zip(*self.net.named_parameters())
        self.names = names
        v = load_file(direction)
        self.v = tuple(v[name].to(self.dtype) for name in names)
        arrays = load_file(data)
        self.x, self.y = arrays["x"], arrays["y"]
        if self.x.is_floating_point():
            self.x = self.x.to(self.dtype)
        self.kept = None
        self.product = ()  # of the last command, for its norm

    def loss(self):
        return networks.loss(self.net(self.x), self.y)

    def gradient(self):
        loss = self.loss()
        self.product = torch.autograd.grad(loss, self.params)
        return dot(self.product, self.v)

    def graph(self):
        """Loss and gradient with the graph of the gradient, which a product goes back through."""
        loss = self.loss()
        return loss.item(), torch.autograd.grad(loss, self.params, create_graph=True)

    def linearize(self):
        loss, self.kept = self.graph()
        return loss

    def hvp(self):
        self.product = torch.autograd.grad(self.kept, self.params, self.v, retain_graph=True)
        return dot(self.product, self.v)

    def block8(self):
        """A loop: the graph takes one vector at a time."""
        for _ in range(8):
            value = self.hvp()
        return value

    def fresh(self):
        _, gradient = self.graph()
        self.product = torch.autograd.grad(gradient, self.params, self.v)
        return dot(self.product, self.v)

    def ggn(self):
        """J' H J v with J v forwards and J' u backwards, from scratch for every product (so does curvlinops)."""

        def outputs(params):
            return functional_call(self.net, dict(zip(self.names, params)), (self.x,)).flatten(0, -2)

        with torch.no_grad():
            params = tuple(p.detach() for p in self.params)
            logits, tangent = jvp(outputs, (params,), (self.v,))
            p = logits.softmax(-1)
            bent = p * (tangent - (p * tangent).sum(-1, keepdim=True)) / len(logits)
        _, pull = vjp(outputs, params)
        (self.product,) = pull(bent)
        return dot(self.product, self.v)

    def drop(self):
        self.kept = None
        return 0.0

    def memory(self):
        """Largest resident size of this process so far, in bytes (Linux)."""
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024.0

    def peak(self):
        """GFLOP/s of a matrix product of side 2048, the best of five."""
        a, times = torch.randn(2048, 2048, dtype=self.dtype), []
        for _ in range(5):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
        return 2 * 2048**3 / min(times) / 1e9


COMMANDS = ("gradient", "linearize", "hvp", "ggn", "block8", "fresh", "drop", "memory", "peak")


def main():
    *files, dtype, threads = sys.argv[1:7]
    torch.set_num_threads(int(threads))
    worker = Worker(*files, dtype)
    print(json.dumps({"ready": True, "parameters": sum(p.numel() for p in worker.params)}), flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command not in COMMANDS:
            raise SystemExit(f"unknown command `{command}`")
        start = time.perf_counter()
        value = getattr(worker, command)()
        seconds = time.perf_counter() - start
        # Outside of the time: against this norm rounding is judged.
        scale = dot(worker.product, worker.product) ** 0.5
        worker.product = ()
        print(json.dumps({"seconds": seconds, "value": value, "scale": scale}), flush=True)


if __name__ == "__main__":
    main()
