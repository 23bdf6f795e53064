#!/usr/bin/env bash
# Lints everything that is compiled with `--features cuda,cudnn,nccl` on a machine without CUDA: no compiler, no card and no download
# but crates. Further arguments go to cargo; CARGO_CMD=check leaves the lints out.
#
# It has a target folder of its own: the kernels of candle that are made here are empty, and a real build would take them.
set -euo pipefail
cd "$(dirname "$0")/../.."
export NVCC="$PWD/scripts/cuda/nvcc-lite" NVCC_REAL='' CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP=90
lints=()
if [ "${CARGO_CMD:-clippy}" = clippy ]; then lints=(-- -D warnings); fi
cargo "${CARGO_CMD:-clippy}" --release --workspace --all-targets --features cuda,cudnn,nccl --target-dir "${CUDA_TARGET_DIR:-target/cuda-check}" \
    --quiet "$@" "${lints[@]}"
