"""benches/peers/torch_worker.py on the card, with one more command: `compiled`, forward over reverse by torch.compile."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "peers"))

import torch
import torch_worker
from torch.func import functional_call, grad, jvp

import networks


class Worker(torch_worker.Worker):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.net.cuda()
        self.params = tuple(self.net.parameters())
        self.v = tuple(part.cuda() for part in self.v)
        self.x, self.y = self.x.cuda(), self.y.cuda()
        self.program = None

    def compiled(self):
        if self.program is None:

            def loss(params):
                return networks.loss(functional_call(self.net, dict(zip(self.names, params)), (self.x,)), self.y)

            self.program = torch.compile(lambda params, v: jvp(grad(loss), (params,), (v,))[1])
        self.product = self.program(tuple(p.detach() for p in self.params), self.v)
        return torch_worker.dot(self.product, self.v)

    def memory(self):
        return float(torch.cuda.max_memory_allocated())

    def peak(self):
        """GFLOP/s of a matrix product of side 8192, the best of five."""
        a, times = torch.randn(8192, 8192, dtype=self.dtype, device="cuda"), []
        for _ in range(5):
            torch.cuda.synchronize()
            start = time.perf_counter()
            a @ a
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return 2 * 8192**3 / min(times) / 1e9


def main():
    *files, dtype, _threads = sys.argv[1:7]
    # As Relief multiplies: f32 in full.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    worker = Worker(*files, dtype)
    print(json.dumps({"ready": True, "parameters": sum(p.numel() for p in worker.params)}), flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command not in (*torch_worker.COMMANDS, "compiled"):
            raise SystemExit(f"unknown command `{command}`")
        torch.cuda.synchronize()
        start = time.perf_counter()
        value = getattr(worker, command)()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        scale = torch_worker.dot(worker.product, worker.product) ** 0.5
        worker.product = ()
        print(json.dumps({"seconds": seconds, "value": value, "scale": scale}), flush=True)


if __name__ == "__main__":
    main()
