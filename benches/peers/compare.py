"""Times Relief, PyTorch and JAX side by side, command by command, and writes RESULTS.md.

`./run.sh` prepares everything and calls this. Every figure alternates between the tools, so that a change of the
machine's mood meets all of them; every number that they compute must agree, or the run stops.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import networks
import report
import tools
import workloads
from tools import Workers, WorkerStopped, whole_process

# In the order of a round: products need the linearization, and what starts afresh should find the memory free.
FIGURES = ("gradient", "linearize", "hvp", "ggn", "block8", "drop", "fresh")
JAX_FIGURES = ("gradient", "fresh")
# Relative to the value; and to the length of the product, because v'Hv is much smaller and so carries its rounding.
TOLERANCES = {"f32": (1e-3, 1e-6), "f64": (1e-8, 1e-12)}
EIGEN_TOOLS = ("relief", "curvlinops", "hessian-eigenthings", "matfree", "pyhessian")
SETTLE = 0.2  # seconds: threads of the tool before go on spinning for a while
SLOW = 60.0  # seconds for one round of a figure by all tools, beyond which two rounds must do
LONG = 3.0  # seconds for a product by any tool, beyond which eight at once are left out


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, small sets only: to try this out")
    parser.add_argument("--small", action="store_true", help="the smaller set of each workload only")
    parser.add_argument("--only", type=lambda text: text.split(","), help="workloads, such as mlp,cnn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=lambda text: [int(t) for t in text.split(",")], default=[1, 2])
    parser.add_argument("--skip-eigen", action="store_true", help="leave out the eigenvalues")
    parser.add_argument("--skip-pyhessian", action="store_true", help="leave out its eigenvalues, by far the slowest")
    parser.add_argument("--skip-jax", action="store_true")
    parser.add_argument("--resume", action="store_true", help="go on with the run that --json holds")
    parser.add_argument("--json", type=Path, help="where the raw rounds go")
    parser.add_argument("--markdown", type=Path, help="where the tables go")
    parser.add_argument("--render", type=Path, metavar="JSON", help="only write the tables of an earlier run")
    options = parser.parse_args()
    here = workloads.WORK if options.quick else tools.HERE.parent
    options.json = options.json or workloads.WORK / ("quick.json" if options.quick else "results.json")
    options.markdown = options.markdown or here / "RESULTS.md"
    if options.quick:
        options.rounds = 1
    unknown = set(options.only or []) - set(workloads.WORKLOADS)
    if unknown:
        parser.error(f"no workloads {sorted(unknown)}: there are {', '.join(workloads.WORKLOADS)}")
    return options


def timed(worker, command, repeats):
    """The median of some repeats, with the answer of the last."""
    answers = [worker.ask(command) for _ in range(repeats)]
    return {**answers[-1], "seconds": statistics.median(a["seconds"] for a in answers)}


def agree(case, figure, answers, dtype):
    """Stops the run where a tool computed something else than PyTorch."""
    relative, of_length = TOLERANCES[dtype]
    truth = answers["torch"]
    for tool, answer in answers.items():
        difference = abs(answer["value"] - truth["value"])
        if not difference <= relative * abs(truth["value"]) + of_length * truth["scale"]:
            values = {tool: answer["value"] for tool, answer in answers.items()}
            raise SystemExit(f"DISAGREEMENT in {figure} of {case}: {values}, length {truth['scale']}")


def measure(name, n, dtype, threads, options, figures=FIGURES):
    """All figures of one case, in alternating rounds."""
    names = ["relief", "torch"] + ["jax"] * (not options.skip_jax and figures == FIGURES)
    case = {"workload": name, "n": n, "dtype": dtype, "threads": threads, "figures": {}}
    print(f"{name}, {n} examples, {dtype}, {threads} threads", flush=True)
    with Workers(names, name, n, dtype, threads) as workers:
        case["parameters"] = workers["torch"].ready["parameters"]
        repeats, rounds, kept = {}, {}, {}
        for figure in figures:
            if figure == "block8" and product > LONG:
                continue
            taking = [t for t in names if t != "jax" or figure in JAX_FIGURES]
            first = {tool: workers[tool].ask(figure) for tool in taking}
            if figure == "drop":
                continue
            agree(case, figure, first, dtype)
            if figure == "hvp":
                product = max(answer["seconds"] for answer in first.values())
            # Warming up is discarded, but where it takes so long that it cannot matter. JAX compiles at first.
            kept[figure] = {t: [a["seconds"]] if a["seconds"] >= 5 and t != "jax" else [] for t, a in first.items()}
            for tool in taking:
                brief = first[tool]["seconds"] < 5 or tool == "jax"
                again = workers[tool].ask(figure)["seconds"] if brief else first[tool]["seconds"]
                repeats[figure, tool] = 5 if again < 0.02 else 1
            slow = sum(answer["seconds"] for answer in first.values()) > SLOW
            rounds[figure] = min(options.rounds, 2) if slow else options.rounds
        for _ in range(options.rounds):
            for figure in figures:
                if figure == "drop":
                    for tool in ("relief", "torch"):
                        workers[tool].ask("drop")
                    continue
                answers = {}
                for tool, times in kept.get(figure, {}).items():
                    # The products want a linearization, so that one is made in every round.
                    if figure != "linearize" and len(times) >= rounds[figure]:
                        continue
                    time.sleep(0 if options.quick else SETTLE)
                    answers[tool] = timed(workers[tool], figure, repeats[figure, tool])
                    times.append(answers[tool]["seconds"])
                if "torch" in answers:
                    agree(case, figure, answers, dtype)
        case["figures"] = kept
    return case


def memory(name, n):
    """Peak memory of a linearization and a product, in processes of their own, and what there was before."""
    found = {"workload": name, "n": n}
    for tool in ("relief", "torch"):
        with Workers([tool], name, n, "f32", 1) as workers:
            before = workers[tool].ask("memory")["value"]
            for command in ("linearize", "hvp"):
                workers[tool].ask(command)
            found[tool] = {"before": before, "peak": workers[tool].ask("memory")["value"]}
    return found


def peaks(threads):
    """GFLOP/s of large matrix products; Relief's where its worker knows the command."""
    found = {}
    for tool in ("torch", "relief"):
        for dtype in ("f32", "f64"):
            try:
                with Workers([tool], "width256", 512, dtype, threads) as workers:
                    found[f"{tool} {dtype}"] = max(workers[tool].ask("peak")["value"] for _ in range(2))
            except WorkerStopped:
                found[f"{tool} {dtype}"] = None
    return {"threads": threads, **found}


def floating_point_operations(name, n):
    """Of a gradient, of a product on a kept linearization, and of a fresh product.

    With F for the forward pass: a gradient is 3F and a product 6F (tangents forwards, then both derivatives backwards,
    each of two terms), on top of a gradient where it is fresh. In the first layer of real inputs nothing is
    differentiated in the input, which leaves 2F of each.
    """
    workload = workloads.ALL[name]
    example = workloads.random_data(workload, 1)["x"]
    first, rest = networks.multiply_adds(networks.build(workload.spec), example)
    first, rest = 2 * n * first, 2 * n * rest
    return {"gradient": 2 * first + 3 * rest, "hvp": 2 * first + 6 * rest, "fresh": 4 * first + 9 * rest}


def growth(options):
    """One thread's time per product over examples, and over parameters."""
    sizes = [("mlp", n) for n in workloads.GROWTH_SIZES]
    widths = [(name, 512) for name in workloads.GROWTH]
    cases = sizes[:2] + widths[:2] if options.quick else sizes + widths
    return [measure(name, n, "f32", 1, options, ("linearize", "hvp")) for name, n in cases]


def eigenvalues(name, options):
    n, threads = (100 if options.quick else workloads.EIGEN_EXAMPLES), max(options.threads)
    # On the convolutional network these two take hours.
    slow = ("pyhessian", "matfree") if name.startswith("cnn") else ("pyhessian",) * options.skip_pyhessian
    runs, names = [], [t for t in EIGEN_TOOLS if t not in slow]
    for round_number in range(min(options.rounds, 3)):
        for tool in names:
            # One run of a tool that takes minutes, or that failed, is enough.
            if round_number and any(r["tool"] == tool and r.get("seconds", 1e9) > 120 for r in runs):
                continue
            print(f"{name}, eigenvalues by {tool}", flush=True)
            time.sleep(SETTLE)
            try:
                runs.append(whole_process(tool, name, n, threads, verify=round_number == 0))
            except (WorkerStopped, subprocess.TimeoutExpired) as problem:
                print(problem, file=sys.stderr)
                runs.append({"tool": tool, "failed": str(problem).splitlines()[-1]})
    return {"workload": name, "n": n, "threads": threads, "runs": runs}


def begin(options):
    """Results with nothing in them yet, or those of a run that was interrupted."""
    if options.resume and options.json.exists():
        results = json.loads(options.json.read_text())
        if results["versions"] != report.versions():
            raise SystemExit(f"{options.json} was measured with other versions: {results['versions']}; start afresh")
        results["arguments"].append(sys.argv[1:])
    else:
        results = {"date": datetime.date.today().isoformat(), "arguments": [sys.argv[1:]], "rounds": options.rounds}
        results.update(machine=report.machine(), versions=report.versions(), peaks=[], operations={})
        results.update(cases=[], memory=[], eigen=[], growth=[])
    for threads in options.threads:
        if not has(results["peaks"], threads=threads):
            results["peaks"].append(peaks(threads))
    return results


def has(entries, **wanted):
    return any(all(entry[key] == value for key, value in wanted.items()) for entry in entries)


def main():
    options = arguments()
    if options.render:
        results = json.loads(options.render.read_text())
        options.markdown.write_text(report.render(results))
        return
    results = begin(options)

    def save():
        options.json.write_text(json.dumps(results, indent=1))
        options.markdown.write_text(report.render(results))

    for name in options.only or workloads.WORKLOADS:
        small, large = workloads.WORKLOADS[name].sizes
        for n in [small] if options.quick or options.small else [small, large]:
            results["operations"][f"{name} {n}"] = floating_point_operations(name, n)
            for threads in options.threads:
                for dtype in ("f32", "f64") if n == small else ("f32",):
                    if not has(results["cases"], workload=name, n=n, dtype=dtype, threads=threads):
                        results["cases"].append(measure(name, n, dtype, threads, options))
                        save()
            if not has(results["memory"], workload=name, n=n):
                results["memory"].append(memory(name, n))
                save()
    if not results["growth"] and (not options.only or "mlp" in options.only):
        results["growth"] = growth(options)
        save()
    for name in [] if options.skip_eigen else workloads.EIGEN:
        wanted = not options.only or name.removesuffix("-trained") in options.only
        if wanted and not has(results["eigen"], workload=name):
            results["eigen"].append(eigenvalues(name, options))
            save()
    # Once more, because whatever else the machine did can only have lowered it.
    for before in (p for p in results["peaks"] if p["threads"] in options.threads):
        after = peaks(before["threads"])
        before.update({key: max(value, after[key]) for key, value in before.items() if value})
    save()
    print(f"wrote {options.json} and {options.markdown}")


if __name__ == "__main__":
    main()
