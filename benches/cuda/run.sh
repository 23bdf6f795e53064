#!/usr/bin/env bash
# On a machine with an NVIDIA card: are the numbers right there, and how do products compare with PyTorch's on the same card?
# Then the same with cuDNN, with reduced precision and with all cards, each held against the first numbers. Arguments go to
# measure.py (--quick, --only resnet18,wrn, --skip-eigen). Needs the CUDA toolkit, and a Python with PyTorch for CUDA and
# torchvision in PYTHON (default: python3); PyTorch's cuDNN and NCCL are found through LD_LIBRARY_PATH like any.
#
#   TARGET=DIR            where cargo builds (default: target)
#   FEATURES="cuda ..."   which builds, one after the other (default: cuda cuda,cudnn, and cuda,cudnn,nccl with several cards)
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
export RELIEF_TARGET=${TARGET:-target}
$python -c 'import torch, torchvision, safetensors; assert torch.cuda.is_available(), "PyTorch finds no CUDA card"'
cards=$($python -c 'import torch; print(torch.cuda.device_count())')
builds=${FEATURES:-"cuda cuda,cudnn$([ "$cards" = 1 ] || echo " cuda,cudnn,nccl")"}
libraries=$($python -c 'import glob, os, sys; print(":".join(d for p in sys.path for d in glob.glob(os.path.join(p, "nvidia/*/lib"))))')
export LD_LIBRARY_PATH="$libraries:${LD_LIBRARY_PATH:-}"

# candle is the same in all of them, so that only Relief is built again.
for features in $builds; do
    echo "== the tests of operations and of the solver's vectors on CPU and card, $features"
    cargo test --release --features "$features" --target-dir "$RELIEF_TARGET" -p relief-autodiff --test operations --test pytorch
    cargo test --release --features "$features" --target-dir "$RELIEF_TARGET" -p relief-hessian --test device_vectors
    cargo build --release --features "$features" --target-dir "$RELIEF_TARGET" --bin relief --example peer_worker
    if [ "$features" = "${builds%% *}" ]; then
        echo "== the comparison"
        $python benches/cuda/measure.py "$@"
    fi
    echo "== precisions and cards, $features"
    $python benches/cuda/measure.py --choices "$features" "$@"
done
