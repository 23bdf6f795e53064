#!/usr/bin/env bash
# Compares a training step (SGD and SAM) of a CNN with PyTorch. Needs the environment of benches/peers/run.sh; PYTHON names
# another. Arguments go to compare.py. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --example training_worker
"${PYTHON:-benches/peers/.venv/bin/python}" benches/training/compare.py "$@"
