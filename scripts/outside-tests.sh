#!/usr/bin/env bash
# The tests that need what is not written in Rust: pages in headless Chromium, driven by Node, and event files read by
# TensorBoard. Installs what is missing (Debian's packages, as root; a virtual environment with what
# crates/plot/tests/tensorboard/requirements.txt pins).
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
environment=target/tensorboard
if ! cmp -s crates/plot/tests/tensorboard/requirements.txt "$environment/installed.txt"; then
    "${PYTHON:-python3}" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --requirement crates/plot/tests/tensorboard/requirements.txt
    cp crates/plot/tests/tensorboard/requirements.txt "$environment/installed.txt"
fi
export RELIEF_BROWSER=chromium RELIEF_TENSORBOARD_PYTHON="$PWD/$environment/bin/python"
cargo test --release -p relief-plot --lib --test html --test events -- --ignored
