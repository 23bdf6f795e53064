"""Starts the tools' workers, one process each, and talks with them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import workloads

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RELIEF = ROOT / "target/release/relief"
WORKERS = {
    "relief": [str(ROOT / "target/release/examples/peer_worker")],
    "torch": [sys.executable, str(HERE / "torch_worker.py")],
    "jax": [sys.executable, str(HERE / "jax_worker.py")],
}


LIMIT = 3600  # seconds for one tool's eigenvalues


class WorkerStopped(Exception):
    pass


def environment(threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {**os.environ, **{name: str(threads) for name in names}, "CANDLE_NUM_THREADS": "1"}


class Worker:
    """A running worker: a command a line in, a line of JSON out."""

    def __init__(self, tool, name, n, dtype, threads):
        files = [workloads.weights_file(name), workloads.data_file(name, n), workloads.direction_file(name)]
        arguments = [workloads.ALL[name].spec, *map(str, files), dtype, str(threads)]
        self.tool, self.log = tool, workloads.WORK / f"{tool}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                WORKERS[tool] + arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(threads),
            )
        self.ready = self.answer("its start")

    def answer(self, what):
        line = self.process.stdout.readline()
        if not line:
            raise WorkerStopped(f"{self.tool} stopped at {what}:\n{self.log.read_text()[-2000:]}")
        return json.loads(line)

    def ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer says more
        return self.answer(command)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Workers:
    """Several at once, closed together."""

    def __init__(self, names, *case):
        self.case, self.running, self.names = case, {}, names

    def __enter__(self):
        for name in self.names:
            self.running[name] = Worker(name, *self.case)
        return self.running

    def __exit__(self, *_):
        for worker in self.running.values():
            worker.close()


def whole_process(tool, name, n, threads, verify):
    """The top eigenpairs by one tool, from the start of its process to the end of its work."""
    run = {"env": environment(threads), "text": True, "capture_output": True, "check": False, "timeout": LIMIT}
    script = [sys.executable, str(HERE / "eigen_worker.py")]
    if tool != "relief":
        done = subprocess.run([*script, tool, name, str(n), str(threads), repr(time.time())], **run)
        if done.returncode != 0:
            raise WorkerStopped(f"{tool} stopped:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])
    vectors = workloads.WORK / "relief-vectors.safetensors"
    command = [str(RELIEF), "eigenvalues", str(workloads.weights_file(name)), "--model", workloads.ALL[name].spec]
    command += ["--data", str(workloads.data_file(name, workloads.EIGEN_EXAMPLES)), "--limit", str(n), "-k", "5"]
    command += ["--tol", "1e-4", "--threads", str(threads), "--format", "json", "--save-vectors", str(vectors)]
    start = time.time()
    done = subprocess.run(command, **run)
    seconds = time.time() - start
    if done.returncode != 0:
        raise WorkerStopped(f"relief stopped:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    values = [pair["value"] for pair in report["result"]["pairs"]]
    answer = {"tool": tool, "seconds": seconds, "seconds_without_import": seconds, "eigenvalues": values}
    answer.update(products=report["work"]["products"], residuals=[], settings="--tol 1e-4, with its own checks")
    if verify:
        check = [*script, "relief", name, str(n), str(threads), str(vectors)]
        done = subprocess.run(check, input=json.dumps(values), **run)
        if done.returncode != 0:
            raise WorkerStopped(f"the check of relief stopped:\n{done.stderr[-2000:]}")
        answer.update(json.loads(done.stdout))
    return answer
