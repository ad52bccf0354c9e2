#!/usr/bin/env bash
# Trains the same shapes with mor and with a PyTorch program on this machine, one after the other in one run, and prints tokens/s and memory side by side.
#
# usage: mor-bench/gpu/beside-pytorch.sh BASELINE.py [MODEL...]
#   BASELINE.py   prints "TRAIN SIZE nr=N ...: TOKENS tok/s  step MS ms  peak GIB GiB" for arguments train:SIZE:RECURSIONS:BATCH:CONTEXT:c
#   MODEL         SIZE or SIZE:RECURSIONS, by default 360m 360m:3 135m; each also against the baseline without waiting between steps, 360m
#                 against the baseline with a cross-entropy in chunks
# Needs what run-all.sh needs, and a python3 with PyTorch. Results go to $OUT (default docs/benchmarks/gpu).
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/docs/benchmarks/gpu}
mkdir -p "$out"
[ $# -ge 1 ] && [ -f "$1" ] || { echo "beside-pytorch.sh: name the PyTorch program first, see the head of this script" >&2; exit 2; }
baseline=$1
shift
models=("$@")
[ ${#models[@]} -gt 0 ] || models=(360m 360m:3 135m)
export OUT=$out
failed=0

peer() { # model, program...
  local model=$1 size=${1%%:*} recursions=0
  shift
  case $model in *:*) recursions=${model#*:} ;; esac
  timeout -k 10 "${MOR_GPU_LIMIT:-240}" python3 "$@" "train:$size:$recursions:16:2048:c" 2>&1 | grep -v Warning
}

{
  # mor first warms the card for the peer and the peer for mor: the order alternates
  MOR_GPU_MODELS="${models[*]} 360m:2" "$root/mor-bench/gpu/run-all.sh" throughput || failed=1
  for model in "${models[@]}"; do
    peer "$model" "$baseline"
    peer "$model" "$root/mor-bench/gpu/torch_without_waiting.py" "$baseline"
    if [ "$model" = 360m ]; then
      echo "with the cross-entropy in chunks:"
      peer "$model" "$root/mor-bench/gpu/torch_chunked_loss.py" "$baseline"
    fi
  done
  echo "once more, after the peer:"
  MOR_GPU_MODELS="${models[*]}" "$root/mor-bench/gpu/run-all.sh" throughput || failed=1
} 2>&1 | tee "$out/beside-pytorch.txt"
exit $failed
