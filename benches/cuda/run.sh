#!/usr/bin/env bash
# On a machine with an NVIDIA card: are the numbers right there, and how do products compare with PyTorch's on the same card?
# Arguments go to measure.py (--quick, --only resnet18,wrn, --skip-eigen). Needs the CUDA toolkit, and a Python with PyTorch
# for CUDA and torchvision in PYTHON (default: python3). `TARGET` is where cargo builds (default: target).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
export RELIEF_TARGET=${TARGET:-target}
$python -c 'import torch, torchvision, safetensors; assert torch.cuda.is_available(), "PyTorch finds no CUDA card"'

echo "== the operations' tests on CPU and card"
cargo test --release --features cuda --target-dir "$RELIEF_TARGET" -p relief-autodiff --test operations --test pytorch
echo "== the comparison"
cargo build --release --features cuda --target-dir "$RELIEF_TARGET" --bin relief --example peer_worker
$python benches/cuda/measure.py "$@"
