#!/usr/bin/env bash
# setup.sh DIR: from nothing, a CUDA 13.0 compiler and link-time stand-ins in DIR, enough to build with `--features cuda` on an
# x86-64 machine without card, driver or toolkit. Five packages from PyPI (102 MB), no root. Where there is a toolkit,
# nothing of this is needed.
#
# The packages are NVIDIA's, under its licence: install them, do not pass them on.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?usage: setup.sh DIR}"
dir=$(cd "$1" && pwd)
pins="nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
      nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96"
if [ "$(uname -m)" != x86_64 ]; then
    echo "these packages are for x86-64: install the CUDA toolkit instead" >&2
    exit 1
fi

# The compiler, and the headers that candle's kernels include.
if [ ! -e "$dir/.complete" ]; then
    rm -rf "$dir/py"
    # shellcheck disable=SC2086
    python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary=:all: --target "$dir/py" $pins
    toolkit=$dir/py/nvidia/cu13
    chmod -R a+rX "$toolkit"
    chmod a+x "$toolkit"/bin/* "$toolkit"/nvvm/bin/* 2>/dev/null || true
    ln -sfn lib "$toolkit/lib64" # where nvcc and cudarc look
    ln -sfn py/nvidia/cu13 "$dir/cuda"
    touch "$dir/.complete"
fi

# Stand-ins for the libraries, with the functions that the version of cudarc in Cargo.lock names.
cudarc=$(cd "$project" && cargo metadata --format-version 1 --all-features --filter-platform x86_64-unknown-linux-gnu |
    python3 -c 'import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
python3 "$project/scripts/cuda/make_stubs.py" "$cudarc" "$dir" "${CC:-cc}"
"$dir/cuda/bin/nvcc" --version | tail -2
