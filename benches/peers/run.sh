#!/usr/bin/env bash
# Compares Relief with PyTorch, PyTorch's Hessian tools and JAX on this machine: benches/RESULTS.md.
# Arguments go to compare.py, such as --quick, --only mlp,cnn or --rounds 9. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=benches/peers
python=$peers/.venv/bin/python

if ! cmp -s $peers/requirements.txt $peers/.venv/installed.txt; then
    "${PYTHON:-python3}" -m venv $peers/.venv
    $python -m pip install --quiet --requirement $peers/requirements.txt
    cp $peers/requirements.txt $peers/.venv/installed.txt
fi
cargo build --release --bin relief --example peer_worker
$python $peers/workloads.py
$python $peers/compare.py "$@"
