#!/usr/bin/env bash
# Runs every command that README.md shows in a ```sh block, in order, from a folder of its own for what they write.
# Lines that need data nobody has yet (they name a file or folder that is not there) say so with `# needs`.
set -euo pipefail
cd "$(dirname "$0")/.."
commands=$(awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' README.md | grep -v '# needs' | grep -v '^cargo test' || true)
[ -n "$commands" ] || { echo "README.md shows no commands" >&2; exit 1; }
relief() { cargo run --release --quiet -- "$@"; }
out=$(mktemp -d)
# A run's folder is never written over.
rm -rf target/connect target/sam
trap 'rm -rf "$out"' EXIT
count=0
while IFS= read -r line; do
    case "$line" in '' | '#'*) continue ;; esac
    echo "\$ $line"
    (eval "$line") >"$out/log" 2>&1 || { cat "$out/log"; echo "README.md: '$line' failed" >&2; exit 1; }
    count=$((count + 1))
done <<<"$commands"
echo "$count commands of README.md ran"
