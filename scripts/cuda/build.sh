#!/usr/bin/env bash
# build.sh DIR [cargo arguments]: builds with `--features cuda` into target/cuda, with what setup.sh put into DIR.
#
#   CUDA_COMPUTE_CAP=90  the default, Hopper; 80 for every card from Ampere on
#   CUDA_LINK=lazy       the default: the program starts without any CUDA library; so: it needs them all to start
#   CUDA_FULL=1          with candle's kernels for quantized tensors, which nothing here uses (8 more minutes of processor)
set -euo pipefail
dir=$(cd "${1:?usage: build.sh DIR [cargo arguments]}" && pwd)
shift
cd "$(dirname "$0")/../.."
export CUDA_HOME="$dir/cuda" PATH="$dir/cuda/bin:$PATH" NVCC_REAL="$dir/cuda/bin/nvcc" NVCC="$PWD/scripts/cuda/nvcc-lite"
if [ -n "${CUDA_FULL:-}" ]; then NVCC=$NVCC_REAL; fi
export CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CUDAFORGE_THREADS="${CUDAFORGE_THREADS:-$(nproc)}"
export CUDA_ROOT="$dir/link-${CUDA_LINK:-lazy}"
# Not the folder of check.sh: candle's kernels there are empty, and would be taken without a word.
cargo "${CARGO_CMD:-build}" --release --features cuda --target-dir "${CUDA_TARGET_DIR:-target/cuda}" "$@"
