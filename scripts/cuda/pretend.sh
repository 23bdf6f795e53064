#!/usr/bin/env bash
# Runs the tests of operations and of vectors with `--features cuda` on a machine without a card: `pretend.c` plays driver and
# libraries on the host. Arguments go to cargo instead, such as `test -p relief-hessian --test several_cards` or `build --example
# peer_worker`; FEATURES=cuda,cudnn takes convolutions through cuDNN's part, and FEATURES=cuda,nccl sums over cards (that test)
# through NCCL's. x86-64 Linux, a C++ compiler, and as long a build as any.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$PWD/target/cuda-check/pretend
mkdir -p "$dir"
cudarc=$(cargo metadata --format-version 1 --all-features --filter-platform x86_64-unknown-linux-gnu |
    python3 -c 'import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
python3 scripts/cuda/make_stubs.py "$cudarc" "$dir" "${CC:-cc}" >/dev/null
"${CC:-cc}" -O2 -w -shared -fPIC -o "$dir/pretend.so" scripts/cuda/pretend.c -ldl -lm
for library in libcuda.so.1 libcublas.so.13 libcurand.so.10 libnvrtc.so.13 libcudnn.so.9 libnccl.so.2; do
    ln -sfn pretend.so "$dir/$library"
done
export NVCC="$PWD/scripts/cuda/nvcc-lite" NVCC_REAL='' CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP=90 CUDA_ROOT="$dir/link-lazy"
export LD_LIBRARY_PATH="$dir:${LD_LIBRARY_PATH:-}"
if [ $# = 0 ]; then
    set -- test -p relief-autodiff -p relief-hessian --test operations --test pytorch --test device_vectors
fi
cargo "$1" --release --features "${FEATURES:-cuda}" --target-dir target/cuda-check "${@:2}"
