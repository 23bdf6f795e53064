#!/usr/bin/env bash
# Compares a surface of ResNet-20 with the usual way in PyTorch. Needs the environment of benches/peers/run.sh and CIFAR-10
# (scripts/get-data.sh data cifar10). Arguments go to compare.py. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --bin relief
benches/peers/.venv/bin/python benches/surface/compare.py "$@"
