"""One workload in JAX, timed on request, with the commands and answers of worker.rs that it has.

MODEL WEIGHTS DATA DIRECTION f32|f64 THREADS. `hvp` and `fresh` are the same: a compiled forward derivative of the
gradient, which keeps nothing between products.
"""

import json
import os
import sys
import time

THREADS = int(sys.argv[6])
# XLA has no dependable setting for its threads: it takes one per core that the process may run on.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-THREADS:])

import jax  # noqa: E402: after the setting above
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

import jax_networks  # noqa: E402


def inner(a, b):
    return sum(jnp.vdot(a[name], b[name]) for name in a)


class Worker:
    def __init__(self, spec, weights, data, direction, dtype):
        real = {"f32": np.float32, "f64": np.float64}[dtype]
        arrays = load_file(data)
        x = arrays["x"]
        if x.ndim == 4:
            x = x.transpose(0, 2, 3, 1)
        x = jnp.asarray(x.astype(real) if x.dtype.kind == "f" else x)
        y, net = jnp.asarray(arrays["y"]), jax_networks.build(spec)
        p = {name: jnp.asarray(array, real) for name, array in load_file(weights).items()}
        v = {name: jnp.asarray(array, real) for name, array in load_file(direction).items()}
        gradient = jax.grad(lambda p, x, y: jax_networks.loss(net, p, x, y))

        # All are arguments of the compiled functions: as constants, XLA would fold them into the program.
        @jax.jit
        def gradient_and_dot(p, v, x, y):
            g = gradient(p, x, y)
            return g, inner(g, v)

        @jax.jit
        def product_and_dot(p, v, x, y):
            _, product = jax.jvp(lambda p: gradient(p, x, y), (p,), (v,))
            return product, inner(product, v)

        def run(function):
            product, value = jax.block_until_ready(function(p, v, x, y))
            return float(value)

        self.commands = {
            "gradient": lambda: run(gradient_and_dot),
            "hvp": lambda: run(product_and_dot),
            "fresh": lambda: run(product_and_dot),
            "memory": memory,
        }


def memory():
    """Largest resident size of this process so far, in bytes (Linux)."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024.0


def main():
    *files, dtype, _ = sys.argv[1:7]
    jax.config.update("jax_enable_x64", dtype == "f64")
    worker = Worker(*files, dtype)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        value = worker.commands[line.strip()]()
        print(json.dumps({"seconds": time.perf_counter() - start, "value": value}), flush=True)


if __name__ == "__main__":
    main()
