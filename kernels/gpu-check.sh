#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: proves what cannot be proven without one, and prints it as one Markdown table.
#
#   kernels/gpu-check.sh PROGRAM [FOLDER WITH AN EXAM]...
#
# PROGRAM is tableside, built with --features cuda or tensorrt; the kernels lie inside it. Besides it needs the driver and,
# for the engines, NVIDIA's libraries and an ONNX Runtime with CUDA (TABLESIDE_ONNXRUNTIME). Without an exam the phantom is
# judged. Ends with 0 if all holds, else with 1.
set -euo pipefail

# A card that hangs hangs its program.
SECONDS_AT_MOST=570

program=${1:?the program to check}
shift
exams=()
for folder in "$@"; do
  exams+=(--series "$folder")
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

status=0
timeout --kill-after=10 "$SECONDS_AT_MOST" "$program" gpu-check "${exams[@]}" | tee "$scratch/table" || status=1

# Which engines serve as the daemon would have them, and why not the others; nothing to say where there is no GPU. Where there
# is no TensorRT no plan of it is built, and doctor says so.
if [ -s "$scratch/table" ]; then
  printf '[data]\nfolder = "%s"\n' "$scratch/data" >"$scratch/tableside.toml"
  timeout --kill-after=10 "$SECONDS_AT_MOST" "$program" model build reference --config "$scratch/tableside.toml" >&2 || true
  printf '\n'
  timeout --kill-after=10 "$SECONDS_AT_MOST" "$program" doctor --config "$scratch/tableside.toml" || status=1
fi
exit "$status"
