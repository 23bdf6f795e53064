"""The tables of a run of compare.py, in Markdown."""

import math
import os
import platform
import statistics
import subprocess
from importlib import metadata
from pathlib import Path

import tools

# What Relief's time over PyTorch's is to stay below, and its memory over PyTorch's.
TARGETS = {
    "f32": {"gradient": 1.0, "hvp": 1.0, "fresh": 0.5},
    "f64": {"gradient": 0.6, "hvp": 0.5},
}
MEAN_TARGET = 0.8  # of the products' ratios in f32, geometric
MEMORY_TARGET = 1.0
# Of Relief's own times: a numerator, its multiple in the denominator, and the figure there.
WITHIN = {
    "product / gradient": ("hvp", 1, "gradient", 2.0),
    "Gauss-Newton product / gradient": ("ggn", 1, "gradient", 1.4),
    "eight products at once / eight products": ("block8", 8, "hvp", 0.75),
}
TITLES = {
    "gradient": "Loss and gradient",
    "linearize": "Linearization: loss, gradient and what products need, kept",
    "hvp": "Hessian-vector product on a kept linearization",
    "ggn": "Gauss-Newton-vector product (Relief on its kept linearization, PyTorch from scratch)",
    "block8": "Eight Hessian-vector products at once (PyTorch: one after another on its kept graph; not where one takes 3 s)",
    "fresh": "Linearization and one Hessian-vector product",
}
PACKAGES = (
    "torch torchvision jax jaxlib curvlinops-for-pytorch hessian-eigenthings matfree pyhessian scipy numpy safetensors"
)


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown CPU")
    flags = next((line.split(":")[1].split() for line in info if line.startswith("flags")), [])
    vector = [flag for flag in ("avx2", "fma", "avx512f") if flag in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model} ({', '.join(vector)}), {os.cpu_count()} cores, {memory:.0f} GiB of memory"


def versions():
    def said(*command):
        done = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = said("git", "rev-parse", "--short", "HEAD")
    changed = " with changes" if said("git", "status", "--porcelain", "-uno") else ""
    own = said(str(tools.RELIEF), "--version").split()[-1]
    found = {"relief": f"{own} ({commit}{changed})", "rustc": said("rustc", "--version").split()[1]}
    found["python"] = platform.python_version()
    return {**found, **{package: metadata.version(package) for package in PACKAGES.split()}}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def span(times):
    """Median (least to most), in milliseconds or seconds."""
    factor, unit = (1e3, "ms") if statistics.median(times) < 1 else (1, "s")
    middle, least, most = (factor * t for t in (statistics.median(times), min(times), max(times)))
    return f"{middle:.3g} {unit} ({least:.3g}..{most:.3g})"


def over(relief, other):
    return statistics.median(relief) / statistics.median(other)


def figure(results, name):
    rows = []
    for case in results["cases"]:
        times = case["figures"].get(name)
        if not times:
            continue
        # A product in JAX keeps nothing, so that its fresh product stands beside both.
        jax = times.get("jax") or (case["figures"]["fresh"].get("jax") if name == "hvp" else None)
        row = [case[key] for key in ("workload", "n", "dtype", "threads")]
        row += [span(times["relief"]), span(times["torch"])]
        row += [f"{over(times['relief'], times['torch']):.2f}", TARGETS[case["dtype"]].get(name, "")]
        row += [span(jax) if jax else "", f"{over(times['relief'], jax):.2f}" if jax else "", len(times["relief"])]
        rows.append(row)
    head = "workload,examples,type,threads,Relief,PyTorch,ratio,target,JAX,Relief / JAX,rounds".split(",")
    text = f"## {TITLES[name]}\n\n" + table(head, rows)
    for dtype in TARGETS:
        cases = [c["figures"][name] for c in results["cases"] if c["dtype"] == dtype and c["figures"].get(name)]
        if cases:
            mean = statistics.geometric_mean(over(times["relief"], times["torch"]) for times in cases)
            target = f", to stay below {MEAN_TARGET}" if (name, dtype) == ("hvp", "f32") else ""
            text += f"\nGeometric mean of the ratios in {dtype}: {mean:.2f}{target}.\n"
    return text


def within(results):
    """Relief's figures over each other."""
    rows = []
    for case in results["cases"]:
        row = [case[key] for key in ("workload", "n", "dtype", "threads")]
        for above, multiple, below, _ in WITHIN.values():
            times = [case["figures"].get(figure, {}).get("relief") for figure in (above, below)]
            row.append(f"{over(*times) / multiple:.2f}" if all(times) else "")
        rows.append(row)
    head = ["workload", "examples", "type", "threads"]
    head += [f"{title} (target {target})" for title, (_, _, _, target) in WITHIN.items()]
    return "## Relief's times over each other\n\n" + table(head, rows)


def share_of_peak(results):
    rows = []
    peak = {p["threads"]: p for p in results["peaks"]}
    for case in results["cases"]:
        operations = results["operations"][f"{case['workload']} {case['n']}"]
        most = peak[case["threads"]][f"torch {case['dtype']}"]
        row = [case["workload"], case["n"], case["dtype"], case["threads"], f"{operations['hvp'] / 1e9:.3g}"]
        for name in ("gradient", "hvp"):
            for tool in ("relief", "torch"):
                seconds = statistics.median(case["figures"][name][tool])
                row.append(f"{100 * operations[name] / seconds / 1e9 / most:.0f} %")
        rows.append(row)
    peaks = "; ".join(
        f"{p['threads']} thread{'s' * (p['threads'] > 1)}: "
        + ", ".join(f"{k} {v:.0f}" for k, v in p.items() if k != "threads" and v)
        for p in results["peaks"]
    )
    head = ["workload", "examples", "type", "threads", "GFLOP of a product"]
    head += ["gradient Relief", "gradient PyTorch", "product Relief", "product PyTorch"]
    text = "Operations of convolutions, linear layers and attention over time, over PyTorch's product of matrices of "
    return f"## Share of the peak\n\n{text}side 2048 (GFLOP/s, {peaks}).\n\n" + table(head, rows)


def memory(results):
    rows = []
    for case in results["memory"]:
        row = [case["workload"], case["n"]]
        for tool in ("relief", "torch"):
            before, peak = case[tool]["before"] / 2**20, case[tool]["peak"] / 2**20
            row += [f"{before:.0f}", f"{peak:.0f}", f"{peak - before:.0f}"]
        rows.append([*row, f"{case['relief']['peak'] / case['torch']['peak']:.2f}", MEMORY_TARGET])
    head = ["workload", "examples", *("Relief at start", "peak", "more"), *("PyTorch at start", "peak", "more")]
    text = "Largest resident size in MiB (f32, 1 thread) of a process that makes a linearization and one product; at "
    text += "start: with program, libraries, weights and data loaded. The ratio is that of the peaks."
    return f"## Memory\n\n{text}\n\n" + table([*head, "ratio", "target"], rows)


def slope(points):
    """Of a straight line through logarithms, by least squares."""
    xs, ys = zip(*((math.log(x), math.log(y)) for x, y in points))
    x, y = statistics.mean(xs), statistics.mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def growth(results):
    rows, slopes = [], []
    for text, key in (("examples", "n"), ("parameters", "parameters")):
        cases = [case for case in results["growth"] if (case["workload"] == "mlp") == (key == "n")]
        for case in cases:
            times = case["figures"]["hvp"]
            rows.append([text, case["n"], case["parameters"], span(times["relief"]), span(times["torch"])])
        for tool in ("relief", "torch"):
            points = [(case[key], statistics.median(case["figures"]["hvp"][tool])) for case in cases]
            slopes.append(f"{tool} with {text} {slope(points):.2f}")
    head = ["growing", "examples", "parameters", "Relief", "PyTorch"]
    text = f"Time of a product on a kept linearization (f32, 1 thread). Exponents: {', '.join(slopes)}."
    return f"## Growth\n\n{text}\n\n" + table(head, rows)


def eigenvalues(results):
    text = "The whole process, imports included; residuals relative to the largest eigenvalue, measured with products "
    text += "in f64 that are no tool's own. Median of the runs."
    parts = [f"## Top five eigenpairs to a residual of 1e-4\n\n{text}\n"]
    for case in results["eigen"]:
        rows = []
        for tool in dict.fromkeys(run["tool"] for run in case["runs"]):
            runs = [run for run in case["runs"] if run["tool"] == tool]
            first = runs[0]
            if "failed" in first:
                rows.append([tool, "failed: " + first["failed"], *[""] * 7])
                continue
            keys = ("seconds", "seconds_without_import")
            row = [tool, *(f"{statistics.median(run[key] for run in runs):.3g} s" for key in keys), first["products"]]
            worst = max(first["residuals"])
            values = " ".join(f"{value:.5g}" for value in first["eigenvalues"])
            reached = "yes" if worst <= 1e-4 else "**no**"
            rows.append([*row, f"{worst:.1e}", reached, values, first["settings"], len(runs)])
        head = "tool,whole process,without imports,products,worst residual,reached,eigenvalues,settings,runs".split(",")
        title = f"{case['workload']}, {case['n']} examples, f32, {case['threads']} threads:"
        parts.append(f"{title}\n\n{table(head, rows)}")
    return "\n".join(parts)


def render(results):
    commands = ", then ".join(f"`{' '.join(['benches/peers/run.sh', *part])}`" for part in results["arguments"])
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts = [
        "# Relief against PyTorch's tools and JAX\n",
        f"Machine: {results['machine']}. Date: {results['date']}. Made by {commands}.\n\nVersions: {versions}.\n",
        "Times are medians of rounds that alternate between the tools (least to most in brackets); a ratio is Relief's "
        "time over the other's. All numbers that the tools computed agreed: f32 to 1e-3, f64 to 1e-8 of their size, "
        "plus 1e-6 and 1e-12 of the product's length for the rounding in v'Hv.\n",
    ]
    parts += [figure(results, name) for name in TITLES if results["cases"]]
    parts += [within(results), share_of_peak(results)] if results["cases"] else []
    sections = {"memory": memory, "growth": growth, "eigen": eigenvalues}
    parts += [section(results) for key, section in sections.items() if results[key]]
    return "\n".join(parts)
