"""Hessian products on an NVIDIA card: Relief beside PyTorch, on the same weights, data and direction; and eigenpairs, with the
solver's vectors on the card and on the host.

`run.sh` builds what this starts. Numbers that are compared must agree, or the run stops. Prints a table, and writes all rounds
to benches/peers/.work/cuda.json. With `--choices FEATURES` it times Relief alone, as it was built, in every precision and on one and
all cards, and says how far products are from those in full: to benches/peers/.work/cuda-choices.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))

import torch
from compare import agree, floating_point_operations

import tools
import workloads
from workloads import Workload

CASES = {
    "resnet18": (Workload("resnet18:stem=cifar,classes=10", (3, 32, 32), (512,)), "f32"),
    "wrn": (Workload("wrn-28-10", (3, 32, 32), (128,)), "f32"),
    "gpt": (Workload("gpt:vocabulary=8192,context=256,depth=12,width=768,heads=12", (256,), (16,), 8192), "f32"),
}
EIGEN_EXAMPLES, PAIRS = 50_000, 10
TARGET = tools.ROOT / os.environ.get("RELIEF_TARGET", "target") / "release"
CIFAR = tools.ROOT / "data/cifar10"


def figures(name, n, dtype, rounds):
    """Medians of every figure, by tool; one process at a time, for the card's memory."""
    found = {}
    for tool, figures in (("torch", ("gradient", "linearize", "hvp", "drop", "compiled")), ("relief", ("gradient", "linearize", "hvp"))):
        with tools.Workers([tool], name, n, dtype, os.cpu_count()) as workers:
            worker = workers[tool]
            found[tool] = {"parameters": worker.ready["parameters"], "peak": max(worker.ask("peak")["value"] for _ in range(3))}
            for figure in figures:
                first = worker.ask(figure)
                if figure == "drop":
                    continue
                # The first may compile: it is checked, not timed.
                times = [worker.ask(figure)["seconds"] for _ in range(rounds)]
                found[tool][figure] = {**first, "seconds": statistics.median(times), "rounds": times}
            used = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], text=True, capture_output=True)
            found[tool]["memory"] = float(used.stdout.split()[0]) * 2**20
    for figure in ("gradient", "linearize", "hvp"):
        answers = {tool: found[tool][figure] for tool in found}
        agree(f"{name} {n} {dtype}", figure, answers, dtype)
    agree(f"{name} {n} {dtype}", "compiled", {"torch": found["torch"]["hvp"], "compiled": found["torch"]["compiled"]}, dtype)
    return found


# How far v'Hv may be from its value in full, relatively: factors have 24, 11 and 8 binary digits.
ALLOWED = {"full": 1e-5, "tf32": 1e-2, "bf16": 0.3}


def choices(name, n, dtype, rounds, devices):
    """Seconds of gradients and products for every precision on one card, and in full on several."""
    found, product = {}, None
    for precision, device in [*((precision, "cuda") for precision in ALLOWED), *(("full", device) for device in devices)]:
        os.environ.update(RELIEF_PRECISION=precision, RELIEF_DEVICE=device)
        with tools.Workers(["relief"], name, n, dtype, os.cpu_count()) as workers:
            worker = workers["relief"]
            one = {}
            for figure in ("gradient", "linearize", "hvp"):
                first = worker.ask(figure)
                again = [worker.ask(figure) for _ in range(rounds)] if figure != "linearize" else []
                if any(answer["value"] != first["value"] for answer in again):
                    raise SystemExit(f"{name} {precision} {device}: a second {figure} has other digits")
                one[figure] = {**first, "rounds": [answer["seconds"] for answer in again]}
        found[f"{precision} {device}"] = one
        value = one["hvp"]["value"]
        product = value if product is None else product
        one["difference"] = abs(value - product) / abs(product)
        if one["difference"] > ALLOWED[precision]:
            raise SystemExit(f"DISAGREEMENT in {name} {precision} {device}: v'Hv is {value}, and in full {product}")
        seconds = [statistics.median(one[figure]["rounds"]) for figure in ("gradient", "hvp")]
        cells = [f"{name} {n} {dtype}", precision, device, *(f"{1e3 * s:.1f}" for s in seconds), f"{one['difference']:.1e}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    return found


def prepared(name, options):
    """A case's number of examples, number type and rounds, with its files written."""
    workload, dtype = CASES[name]
    n = 8 if options.quick else workload.sizes[0]
    workloads.ALL[name] = Workload(workload.spec, workload.shape, (n,), workload.classes)
    workloads.export(name)
    return n, dtype, 2 if options.quick else options.rounds


def all_choices(options):
    """The table of `--choices`; what other builds found stays in the file."""
    file = workloads.WORK / "cuda-choices.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    cards = torch.cuda.device_count()
    devices = ["cuda:all"] if cards > 1 else []
    results[options.choices] = found = {"card": torch.cuda.get_device_name(0), "cards": cards, "cases": {}}
    print("| case | precision | device | gradient ms | product ms | from full |")
    print("|---|---|---|---|---|---|")
    for name in options.only:
        n, dtype, rounds = prepared(name, options)
        found["cases"][name] = choices(name, n, dtype, rounds, devices)
    file.write_text(json.dumps(results, indent=1))


def eigenpairs(*options):
    """The ten largest eigenpairs of ResNet-18's Hessian over 50,000 images, from the start of the process to its end."""
    weights = workloads.weights_file("resnet18")
    command = [str(TARGET / "relief"), "eigenvalues", str(weights), "--model", workloads.ALL["resnet18"].spec]
    if CIFAR.exists():
        data, what = str(CIFAR), "CIFAR-10's training images"
    else:
        file, what = workloads.data_file("resnet18", EIGEN_EXAMPLES), "random images, because data/cifar10 is missing"
        if not file.exists():
            workloads.save_file(workloads.random_data(workloads.ALL["resnet18"], EIGEN_EXAMPLES), file)
        data = str(file)
    command += ["--data", data, "--limit", str(EIGEN_EXAMPLES), "-k", str(PAIRS), "--batch-size", "500", "--memory", "60"]
    command += ["--device", "cuda", "--tol", "1e-3", "--format", "json", *options]
    start = time.time()
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"relief stopped:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    return {"data": what, "seconds": time.time() - start, "work": report["work"], "pairs": report["result"]["pairs"]}


def row(name, n, dtype, found):
    """A line of the table: seconds, and the product's share of the largest rate of matrix products measured here."""
    flops = floating_point_operations(name, n)
    torch_rate = max(found["torch"]["peak"], found["relief"]["peak"]) * 1e9
    share = flops["hvp"] / found["relief"]["hvp"]["seconds"] / torch_rate
    seconds = [found[tool][figure]["seconds"] for tool, figure in
               (("relief", "gradient"), ("torch", "gradient"), ("relief", "hvp"), ("torch", "hvp"), ("torch", "compiled"))]
    memory = [found[tool]["memory"] / 2**30 for tool in ("relief", "torch")]
    cells = [f"{name} {n} {dtype}", *(f"{1e3 * s:.1f}" for s in seconds), f"{100 * share:.0f} %", *(f"{m:.1f}" for m in memory)]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES), help="cases, such as resnet18,wrn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="few examples and two rounds: to try this out")
    parser.add_argument("--skip-eigen", action="store_true", help="leave out the eigenpairs")
    parser.add_argument("--choices", metavar="FEATURES", help="precisions and cards instead, of a build with these features")
    options = parser.parse_args()
    tools.WORKERS["relief"] = [str(TARGET / "examples/peer_worker")]
    tools.WORKERS["torch"] = [sys.executable, str(HERE / "torch_worker.py")]
    os.environ["RELIEF_DEVICE"] = "cuda"
    workloads.WORK.mkdir(exist_ok=True)
    if options.choices:
        all_choices(options)
        return
    results = {"card": torch.cuda.get_device_name(0), "torch": torch.__version__, "cases": {}}
    print(results["card"], "with PyTorch", results["torch"])
    print("| case | gradient ms | PyTorch | product ms | kept graph | compiled | of peak | GiB | PyTorch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.only:
        n, dtype, rounds = prepared(name, options)
        found = figures(name, n, dtype, rounds)
        results["cases"][name] = {"n": n, "dtype": dtype, **found}
        print(row(name, n, dtype, found), flush=True)
    if not options.skip_eigen:
        workloads.export("resnet18")
        for place, more in (("card", []), ("host", ["--vectors-on-host"])):
            found = results["eigenpairs" if place == "card" else "eigenpairs, vectors on the host"] = eigenpairs(*more)
            values = ", ".join(f"{pair['value']:.5g}" for pair in found["pairs"])
            print(f"{PAIRS} eigenpairs over {EIGEN_EXAMPLES} images ({found['data']}), vectors on the {place}: "
                  f"{found['seconds']:.0f} s, {found['work']['products']} products: {values}", flush=True)
        if found["pairs"] != results["eigenpairs"]["pairs"]:
            print("the digits differ: some product's sums have no fixed order on this card")
    (workloads.WORK / "cuda.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
