#!/usr/bin/env bash
# Runs the shipped studies with what mor-bench/gpu/pack.sh packed: those for two cores side by side, each on two cores of its own, and at the same time
# those for a GPU, one after the other in one process. Results go to $OUT (default docs/benchmarks/studies): a folder for each study, without weights.
# Started again, it goes on where it stopped.
#
# usage: mor-bench/gpu/run-studies.sh [cpu] [gpu] [gpus]     without a word: cpu and gpu
#   gpus   a small study with as many trials side by side as there are GPUs; says how many trials saw which
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/docs/benchmarks/studies}
pack=${MOR_GPU_PACK:-$root/.carry/gpu.tar.xz}
work=${TMPDIR:-/tmp}/mor-gpu
limit=${MOR_STUDIES_LIMIT:-540} # seconds; what is not done then is saved and can go on
[ $# -gt 0 ] || set -- cpu gpu
mkdir -p "$out" "$work"
if [ ! -f "$work/done" ] || [ "$pack" -nt "$work/done" ]; then
  tar -C "$work" -xJf "$pack" && touch "$work/done" || exit 2
fi
modules=$work/mor-modules
rm -rf "$modules" && mkdir -p "$modules"
while read -r jar; do cp "$work/gpu/lib/$jar" "$modules/"; done < "$work/gpu/mor.jars"
mkdir -p "$work/studies" && cd "$work/studies" || exit 2

mor() {
  timeout --signal=TERM --kill-after=30 "$limit" "$work/gpu/jre/bin/java" -XX:+UseSerialGC -Dmor.home="$work/gpu" -Djava.io.tmpdir="$work" \
    --enable-native-access=ALL-UNNAMED,duckdb.jdbc,jcuda,io.mor.backend.cuda -p "$modules" -m io.mor.cli/io.mor.cli.Main "$@"
}

first=0
for kind in "$@"; do
  if [ "$kind" = cpu ]; then
    for study in "$root"/examples/studies/[1-9]-*[!u].yaml; do
      name=$(basename "$study" .yaml)
      cores=$first-$((first + 1))
      first=$((first + 2))
      (
        taskset -cp "$cores" "$BASHPID" >/dev/null
        mkdir -p "$name" && cd "$name" || exit
        begun=$SECONDS
        mor ablate "$study" --folder study --parallel 2 > log.txt 2>&1
        echo "$name: code $? after $((SECONDS - begun)) s on cores $cores" | tee -a log.txt
      ) &
    done
  elif [ "$kind" = gpus ]; then
    (
      mkdir -p gpus && cd gpus || exit
      mor ablate "$root/mor-bench/gpu/two-gpus.yaml" --folder study --parallel "$(nvidia-smi -L | grep -c '^GPU')" --no-calibration > log.txt 2>&1
      echo "trials side by side: code $?" | tee -a log.txt
      mor results study --sql "SELECT value AS visible, count(*) AS trials FROM environment WHERE name = 'visible-gpus' GROUP BY value ORDER BY value" | tee gpus.txt
    ) &
  else
    (
      mkdir -p gpu && cd gpu || exit
      begun=$SECONDS
      mor ablate "$root"/examples/studies/[1-9]-*-gpu.yaml --in-process --no-calibration > log.txt 2>&1
      echo "studies for a GPU: code $? after $((SECONDS - begun)) s" | tee -a log.txt
    ) &
  fi
done
wait
{ date -u +%FT%TZ; nproc; grep -m1 'model name' /proc/cpuinfo; nvidia-smi -L; } > machine.txt 2>&1
tar -C "$work/studies" --exclude=checkpoints --exclude='*.tokens' -cf - . | tar -C "$out" -xf -
