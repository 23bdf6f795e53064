"""The top five eigenpairs of a trained workload's Hessian with another tool, as a process of its own.

TOOL NAME EXAMPLES THREADS STARTED, where TOOL is pyhessian, hessian-eigenthings, curvlinops or matfree and STARTED the
time (time.time()) just before this process was. Prints one line of JSON. After the clock stopped, every pair's residual
is measured with products in f64, which no tool's own numbers enter.

`relief NAME EXAMPLES THREADS VECTORS`, with the eigenvalues on stdin, measures the residuals of Relief's result.
"""

import json
import os
import sys
import time

COUNT, TOLERANCE = 5, 1e-4
# Lanczos steps, for the tools that neither restart nor go on by themselves: found by trying (20 leave 2.6e-4 on the
# mlp), as their users would have to; that search is not in their times.
STEPS = {"mlp-trained": 30, "cnn-trained": 30}
# Power iterations for each of the five pairs. The tolerance is on the change of the eigenvalue, the only one there is;
# its square root estimates the error of the vector.
POWER_STEPS, POWER_TOLERANCE = {"mlp-trained": 500, "cnn-trained": 60}, 1e-8


class Count:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments, **named):
        self.calls += 1
        return self.function(*arguments, **named)


def load(name, n, dtype=None):
    import torch
    from safetensors.torch import load_file

    import networks
    import workloads

    net = networks.build(workloads.ALL[name].spec)
    net.load_state_dict(load_file(workloads.weights_file(name)))
    data = load_file(workloads.data_file(name, workloads.EIGEN_EXAMPLES))
    dtype = dtype or torch.float32
    return net.to(dtype), data["x"][:n].to(dtype), data["y"][:n]


def pyhessian(name, n):
    import pyhessian
    import torch

    import networks

    loaded = time.time()
    module = sys.modules["pyhessian.hessian"]
    product = module.hessian_vector_product = Count(module.hessian_vector_product)
    net, x, y = load(name, n)
    torch.manual_seed(0)
    # One batch, whose gradient graph it keeps: its fast way.
    operator = pyhessian.hessian(net, networks.loss, data=(x, y), cuda=False)
    steps = POWER_STEPS[name]
    values, vectors = operator.eigenvalues(maxIter=steps, tol=POWER_TOLERANCE, top_n=COUNT)
    flat = [torch.cat([part.flatten() for part in vector]) for vector in vectors]
    settings = f"data=(x, y), maxIter={steps}, tol={POWER_TOLERANCE:g}"
    return loaded, values, flat, product.calls, settings


def hessian_eigenthings(name, n):
    import hessian_eigenthings as tool

    import networks

    loaded = time.time()
    net, x, y = load(name, n)
    operator = tool.HessianOperator(net, [(x, y)], tool.supervised_loss(networks.loss))
    steps = STEPS[name]
    found = tool.lanczos(operator, k=COUNT, max_iter=steps, tol=TOLERANCE, reorthogonalize=True, which="LA", seed=0)
    settings = f"lanczos, max_iter={steps}, reorthogonalize=True"
    return loaded, found.eigenvalues.tolist(), list(found.eigenvectors), found.iterations, settings


def curvlinops(name, n):
    import numpy as np
    import torch
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import LinearOperator, eigsh

    loaded = time.time()
    net, x, y = load(name, n)
    # Its check that the loss is deterministic stays on, as Relief's checks do.
    inner = HessianLinearOperator(net, torch.nn.CrossEntropyLoss(), list(net.parameters()), [(x, y)]).to_scipy()
    product = Count(inner.matvec)
    operator = LinearOperator(inner.shape, matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(inner.shape[0])
    values, vectors = eigsh(operator, k=COUNT, which="LA", tol=TOLERANCE, v0=start)
    flat = [torch.from_numpy(column.copy()) for column in vectors.T]
    return loaded, values.tolist(), flat, product.calls, f"scipy eigsh, tol={TOLERANCE:g}, default ncv"


def matfree(name, n):
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.flatten_util import ravel_pytree
    from matfree import decomp, eig
    from safetensors.numpy import load_file

    import jax_networks
    import workloads

    loaded = time.time()
    data = load_file(workloads.data_file(name, workloads.EIGEN_EXAMPLES))
    x, y = data["x"][:n], jnp.asarray(data["y"][:n])
    x = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    p = {k: jnp.asarray(t) for k, t in load_file(workloads.weights_file(name)).items()}
    flat, unflatten = ravel_pytree(p)
    net, steps = jax_networks.build(workloads.ALL[name].spec), STEPS[name]

    @jax.jit
    def product(v, flat, x, y):
        gradient = jax.grad(lambda flat: jax_networks.loss(net, unflatten(flat), x, y))
        return jax.jvp(gradient, (flat,), (v,))[1]

    def called_back(v, *rest):
        """XLA's convolutions are some 30 times slower within a compiled loop on CPUs, so that these stay outside."""
        shape = jax.ShapeDtypeStruct(v.shape, v.dtype)
        return jax.pure_callback(lambda v: np.asarray(product(v, flat, x, y)), shape, v)

    matvec = called_back if x.ndim == 4 else product
    lanczos = jax.jit(eig.eigh_partial(decomp.tridiag_sym(steps, reortho="full")), static_argnums=0)
    start = jax.random.normal(jax.random.PRNGKey(0), flat.shape)
    values, vectors = jax.block_until_ready(lanczos(matvec, start, flat, x, y))
    values = np.asarray(values)[::-1][:COUNT].tolist()
    vectors = np.asarray(vectors)[::-1][:COUNT]
    settings = f"decomp.tridiag_sym({steps}, reortho='full'), jitted"
    return loaded, values, (vectors, unflatten), steps, settings


def in_parameter_order(name, found):
    """JAX flattens a dictionary in the order of its keys, PyTorch a network in that of its layers."""
    import torch

    if not isinstance(found, tuple):
        return found
    vectors, unflatten = found
    net, _, _ = load(name, 1)
    parts = [unflatten(vector) for vector in vectors]
    names = [k for k, _ in net.named_parameters()]
    return [torch.cat([torch.tensor(part[k].__array__()).flatten() for k in names]) for part in parts]


def residuals(name, n, values, vectors, chunk=100):
    """|H v - lambda v| of unit vectors, relative to the largest |lambda|; H v in f64 on a graph of its own."""
    import torch

    import networks

    net, x, y = load(name, n, torch.float64)
    params = list(net.parameters())
    vectors = [v.double() / v.double().norm() for v in vectors]
    products = [torch.zeros_like(v) for v in vectors]
    for begin in range(0, n, chunk):
        part = slice(begin, min(begin + chunk, n))
        loss = networks.loss(net(x[part]), y[part]) * ((part.stop - begin) / n)
        gradient = torch.autograd.grad(loss, params, create_graph=True)
        gradient = torch.cat([g.flatten() for g in gradient])
        for v, product in zip(vectors, products):
            parts = torch.autograd.grad(gradient, params, v, retain_graph=True)
            product += torch.cat([g.flatten() for g in parts])
    largest = max(abs(value) for value in values)
    return [((p - value * v).norm() / largest).item() for value, v, p in zip(values, vectors, products)]


def relief(name, n, vectors_file):
    """Residuals of Relief's eigenvectors, which it saves by parameter, one row each."""
    import torch
    from safetensors.torch import load_file

    values, saved = json.loads(sys.stdin.read()), load_file(vectors_file)
    net, _, _ = load(name, 1)
    rows = torch.cat([saved[k].flatten(1) for k, _ in net.named_parameters()], 1)
    print(json.dumps({"residuals": residuals(name, n, values, list(rows))}))


def main():
    tool, name, n, threads, last = sys.argv[1:6]
    n, threads = int(n), int(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # before any tool makes its threads
    if tool == "relief":
        return relief(name, n, last)
    started = float(last)
    tools = {"pyhessian": pyhessian, "hessian-eigenthings": hessian_eigenthings}
    tools.update(curvlinops=curvlinops, matfree=matfree)
    loaded, values, vectors, products, settings = tools[tool](name, n)
    done = time.time()
    pairs = sorted(zip(values, in_parameter_order(name, vectors)), key=lambda pair: -pair[0])
    values, vectors = [value for value, _ in pairs], [vector for _, vector in pairs]
    answer = {"tool": tool, "seconds": done - started, "seconds_without_import": done - loaded}
    answer.update(eigenvalues=values, residuals=residuals(name, n, values, vectors), products=products)
    print(json.dumps({**answer, "settings": settings}))


if __name__ == "__main__":
    main()
