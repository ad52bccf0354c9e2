#!/usr/bin/env bash
# Tests and times the backend cuda on this machine. Needs what mor-bench/gpu/pack.sh packed, an NVIDIA driver and NVRTC; neither Maven nor network.
#
# usage: mor-bench/gpu/run-all.sh [PART...]
#   machine   what is here: GPU, driver, compilers, the doctor's report
#   tests     every test of the backend, with JUnit's console launcher
#   golden    the golden cases in single precision, both modes, and in bfloat16 with the recorded selections forced
#   graphs    training and decoding that are replayed as CUDA graphs, beside the same launched kernel by kernel: bit for bit
#   timings   kernels beside the card's own rates, on the class path and on the module path
#   throughput  whole training steps of the paper's sizes in bfloat16: tokens/s, memory, and a step's parts beside their limits; MOR_GPU_MODELS names
#             models as TrainingThroughput takes them, MOR_GPU_OPTIONS its options
#   train     small models with the mor command: the loss on cuda beside that on cpu, tokens/s, and a run that was killed and resumed
#   sanitize  compute-sanitizer's memcheck, racecheck and initcheck side by side, over a step of training, evaluation and generation of the smallest models:
#             expert choice in bfloat16, token choice in single precision. The contract's tests take too long under it, as each opens the card anew.
#             MOR_GPU_SANITIZE_LIMIT is the seconds that one command may take (100)
# Without a part: machine, tests, golden, graphs, timings, train. Results go to $OUT (default docs/benchmarks/gpu); the last lines say what passed.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/docs/benchmarks/gpu}
mkdir -p "$out"
pack=${MOR_GPU_PACK:-$root/.carry/gpu.tar.xz}
work=${TMPDIR:-/tmp}/mor-gpu
limit=${MOR_GPU_LIMIT:-240} # seconds one Java process may take
if [ ! -f "$pack" ]; then
  echo "run-all.sh: $pack is not there; run mor-bench/gpu/pack.sh where Maven is, and bring the file" >&2
  exit 2
fi
if [ ! -f "$work/done" ] || [ "$pack" -nt "$work/done" ]; then
  rm -rf "$work" && mkdir -p "$work" && tar -C "$work" -xJf "$pack" && touch "$work/done" || exit 2
fi
gpu=$work/gpu
java=(timeout -k 10 "$limit" "$gpu/jre/bin/java" --enable-native-access=ALL-UNNAMED --add-modules jdk.incubator.vector -Djava.io.tmpdir="$work" -Dmor.project.root="$root" -Xmx8g)
libs=$(ls "$gpu"/lib/*.jar | tr '\n' ':')
train_steps=${MOR_GPU_TRAIN_STEPS:-300}
train_figures=(cross-entropy validation-loss)
summary=()

# a part's name, its file, then what runs it; its output goes to the terminal and the file
part() {
  local name=$1 file=$2
  shift 2
  local start=$SECONDS
  : > "$out/$file"
  "$@" 2>&1 | tee -a "$out/$file"
  local result=${PIPESTATUS[0]}
  if grep -q 'no GPU to test on' "$out/$file"; then
    result=3 # on this script's machine a skipped test is a failed one
  fi
  summary+=("$name: $([ $result -eq 0 ] && echo passed || echo "FAILED ($result)") in $((SECONDS - start)) s, see $file")
  return $result
}

junit() {
  "${java[@]}" -jar "$gpu/junit-console.jar" execute --disable-banner --disable-ansi-colors --fail-if-no-tests --details=tree "$@"
}

machine() {
  echo "commit $(cat "$gpu/commit"), $(date -u +%FT%TZ)"
  nvidia-smi 2>&1 || echo "nvidia-smi: not here"
  uname -srm
  nproc
  nvcc --version 2>&1 | tail -2
  "$gpu/jre/bin/java" -version 2>&1
}

tests() {
  junit --class-path "$gpu/tests/backend-cuda:$libs" --scan-class-path "$gpu/tests/backend-cuda" --exclude-classname '.*KernelSourceTest'
}

golden() {
  junit --class-path "$gpu/tests/mor-cli:$libs" --select-class io.mor.it.GoldenCasesOnGpuTest
}

graphs() {
  junit --class-path "$gpu/tests/mor-cli:$libs" --select-class io.mor.it.TrainingStepsOnGpuTest --select-class io.mor.it.GenerationOnGpuTest
}

timings() {
  "${java[@]}" -cp "$libs" io.mor.bench.gpu.CudaTimings "$work/kernels"
}

throughput() {
  local models options
  read -ra models <<< "${MOR_GPU_MODELS:-}"
  read -ra options <<< "${MOR_GPU_OPTIONS:-}"
  "${java[@]}" -cp "$libs" io.mor.bench.gpu.TrainingThroughput kernels="$work/kernels" "${options[@]}" "${models[@]}"
}

# The backend as a module, its natives in another one, only the benchmark on the class path: nothing but native access is a flag.
modules() {
  mkdir -p "$work/modules"
  cp "$gpu"/lib/mor-api-*.jar "$gpu"/lib/mor-backend-cuda-*.jar "$gpu"/lib/jcuda-*.jar "$gpu"/lib/jakarta.inject-api-*.jar "$work/modules/"
  timeout -k 10 "$limit" "$gpu/jre/bin/java" --enable-native-access=jcuda,io.mor.backend.cuda -p "$work/modules" --add-modules io.mor.backend.cuda \
    -cp "$(ls "$gpu"/lib/mor-bench-*.jar)" io.mor.bench.gpu.CudaTimings "$work/kernels"
}

# The mor command as users run it: all modules, no class path.
mor_java=("$gpu/jre/bin/java" -Xlog:disable --enable-native-access=io.mor.backend.cuda,jcuda --add-modules jdk.incubator.vector -XX:+UseSerialGC
  -p "$work/mor" -m io.mor.cli/io.mor.cli.Main)
mor() {
  timeout -k 10 "$limit" "${mor_java[@]}" "$@"
}

# name of the run, backend, then further settings: one small model, the same for every backend
train_arguments() {
  local name=$1 backend=$2
  shift 2
  local settings=(
    name="$name" seed=17 runs="$work/runs" data.paths="[$gpu/input.txt]" data.shards="$work/shards" data.validation-fraction=0.05
    tokenizer.type=character model.hidden=128 model.layers=8 model.heads=4 model.kv-heads=2 model.ffn=352 model.context=64
    training.steps="$train_steps" training.batch=12 training.evaluation.every=0 training.evaluation.batches=50
    training.checkpoint.every="$((train_steps / 2))" training.checkpoint.keep=0 training.log.every=1 backend.type="$backend"
  )
  local setting
  for setting in "${settings[@]}" "$@"; do
    printf -- '-s\n%s\n' "$setting"
  done
}

# name, backend, settings; the run folder is $work/runs/name
train_model() {
  local arguments
  mapfile -t arguments < <(train_arguments "$@")
  echo "== $1"
  mor train "${arguments[@]}" < /dev/null 2>&1 | tr '\r' '\n' | grep -v -e '-router-' -e sampling-accuracy | tail -12
  local result=${PIPESTATUS[0]}
  # the first half has the compilation of kernels and of Java in it
  grep -o '"tokens-per-second":[0-9.Ee+-]*' "$work/runs/$1/metrics.jsonl" | cut -d: -f2 | tail -n "$((train_steps / 2))" | sort -g |
    awk '{ rate[NR] = $1 } END { printf "median of the second half: %.0f tokens/s\n", rate[int((NR + 1) / 2)] }'
  return "$result"
}

# the mean of the last tenth of a figure's values in a run's metrics.jsonl: the loss of one batch says little about two runs that have parted
figure() {
  grep -o "\"$2\":[-+.0-9eE]*" "$work/runs/$1/metrics.jsonl" | cut -d: -f2 |
    awk '{ value[NR] = $1 } END { if (NR > 0) { n = int((NR + 9) / 10); for (i = NR - n + 1; i <= NR; i++) sum += value[i]; printf "%.17g", sum / n } }'
}

# a model on both backends; FAILED if the losses after training are further apart than the given part of them
compare_backends() {
  local model=$1 limit_part=$2 failed=0 figure name
  shift 2
  train_model "$model-cpu" cpu "$@" || failed=1
  train_model "$model-cuda" cuda backend.mode=invariant "$@" || failed=1
  train_model "$model-cuda-fast" cuda backend.mode=fast "$@" || failed=1
  train_model "$model-cuda-bf16" cuda backend.mode=fast backend.precision=bf16 training.recompute=norms-and-gates "$@" || failed=1
  for name in "$model-cuda" "$model-cuda-fast" "$model-cuda-bf16"; do
    for figure in "${train_figures[@]}"; do
      awk -v model="$name" -v figure="$figure" -v cpu="$(figure "$model-cpu" "$figure")" -v cuda="$(figure "$name" "$figure")" -v most="$limit_part" 'BEGIN {
        if (cpu == "" || cuda == "") { print model ": " figure " is missing: FAILED"; exit 1 }
        part = (cuda - cpu) / cpu; size = part < 0 ? -part : part
        printf "%s: %s %s, on cpu %s, relative difference %.2e (at most %s): %s\n", model, figure, cuda, cpu, part, most, size <= most ? "ok" : "FAILED"
        exit size <= most ? 0 : 1 }' || failed=1
    done
  done
  return $failed
}

# A run that is killed at its first checkpoint and resumed must end with the bytes of the undisturbed one.
resume_after_kill() {
  local model=$1 name=$1-killed half=$((train_steps / 2)) arguments process
  shift
  mapfile -t arguments < <(train_arguments "$name" cuda backend.mode=invariant "$@")
  echo "== $name"
  local first last
  first=$work/runs/$name/checkpoints/$(printf 'step-%08d' "$half")
  last=$work/runs/$name/checkpoints/$(printf 'step-%08d' "$train_steps")
  "${mor_java[@]}" train "${arguments[@]}" < /dev/null > "$work/killed.log" 2>&1 &
  process=$!
  while [ ! -d "$first" ] && kill -0 "$process" 2>/dev/null; do
    sleep 0.01
  done
  kill -9 "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  if [ ! -d "$first" ] || [ -d "$last" ]; then
    tail -20 "$work/killed.log"
    echo "$name: was not stopped between its first checkpoint and its end: FAILED"
    return 1
  fi
  echo "killed after $(grep -c . "$work/runs/$name/metrics.jsonl") lines of metrics; checkpoints: $(ls "$work/runs/$name/checkpoints" | tr '\n' ' ')"
  mor train --resume "$work/runs/$name" < /dev/null 2>&1 | tr '\r' '\n' | grep -v -e '-router-' -e sampling-accuracy | tail -8
  [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
  if cmp "$work/runs/$model-cuda/checkpoints/${last##*/}/model.safetensors" "$last/model.safetensors"; then
    echo "$name: resumed at step $half of $train_steps, model.safetensors has the bytes of the undisturbed run: ok"
  else
    echo "$name: model.safetensors differs from the undisturbed run's: FAILED"
    return 1
  fi
}

# the mor command's jars into a folder of their own, and no runs of before
unpack_command() {
  if [ ! -f "$gpu/input.txt" ]; then
    echo "no text to train on in $pack; see MOR_GPU_TEXT in mor-bench/gpu/pack.sh"
    return 2
  fi
  rm -rf "$work/runs" "$work/mor" && mkdir -p "$work/mor"
  local jar
  while read -r jar; do
    cp "$gpu/lib/$jar" "$work/mor/"
  done < "$gpu/mor.jars"
}

train() {
  unpack_command || return 2
  local failed=0
  local router=(model.sharing=middle-cycle model.recursions=3 router.type=expert-choice kv-cache.type=recursion-wise)
  mor doctor 2>&1 | cut -c1-240
  compare_backends vanilla 0.01 model.sharing=none || failed=1
  # a token at the edge of a selection goes the other way after a difference of one rounding, so these runs part earlier
  compare_backends mor-3 0.03 "${router[@]}" || failed=1
  resume_after_kill mor-3 "${router[@]}" || failed=1
  return $failed
}

# the name of a run, its settings: a model as small as one can be that uses every kernel, the ones for heads of 64 elements too
sanitize_arguments() {
  local name=$1
  shift
  train_steps=1 train_arguments "$name" cuda training.batch=2 training.evaluation.batches=1 training.checkpoint.every=0 \
    data.shards="$work/shards-$name" model.sharing=middle-cycle model.recursions=2 model.layers=4 model.heads=2 model.kv-heads=1 model.ffn=128 \
    model.context=32 "$@"
}

# a tool, the name of a run, its settings: trains a step, evaluates and generates, each under the tool
sanitize_model() {
  local tool=$1 name=$2-$1 arguments failed=0 start=$SECONDS
  shift 2
  local under=(timeout -k 5 "${MOR_GPU_SANITIZE_LIMIT:-100}" compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all --print-limit 5)
  local more=()
  case $tool in
    # without the library: in a process with its products racecheck faults, and initcheck takes what they store for unwritten
    racecheck | initcheck) more+=(backend.mode=invariant) ;;
  esac
  mapfile -t arguments < <(sanitize_arguments "$name" "$@" "${more[@]}")
  "${under[@]}" "${mor_java[@]}" train "${arguments[@]}" < /dev/null || failed=$?
  echo "== $name: training ended with $failed after $((SECONDS - start)) s"
  if [ $failed -eq 0 ]; then
    "${under[@]}" "${mor_java[@]}" generate "$work/runs/$name" --prompt "To be" --max-tokens 3 < /dev/null || failed=$?
    echo "== $name: generation ended with $failed after $((SECONDS - start)) s"
  fi
  return $failed
}

sanitize_expert=(router.type=expert-choice kv-cache.type=recursion-wise backend.mode=fast backend.precision=bf16 training.recompute=norms-and-gates)
sanitize_token=(router.type=token-choice kv-cache.type=shared backend.mode=invariant)

sanitize() {
  unpack_command || return 2
  local failed=0 tool model result arguments
  # kernels are compiled once and not under a tool
  mapfile -t arguments < <(sanitize_arguments san-expert-bare "${sanitize_expert[@]}")
  mor train "${arguments[@]}" < /dev/null > "$out/sanitizer-bare.txt" 2>&1 || failed=1
  mapfile -t arguments < <(sanitize_arguments san-token-bare "${sanitize_token[@]}")
  mor train "${arguments[@]}" < /dev/null >> "$out/sanitizer-bare.txt" 2>&1 || failed=1
  [ $failed -eq 0 ] || tail -5 "$out/sanitizer-bare.txt"
  local -A processes=()
  for tool in memcheck racecheck initcheck; do
    sanitize_model "$tool" san-expert "${sanitize_expert[@]}" > "$out/sanitizer-$tool-expert.txt" 2>&1 &
    processes[$tool-expert]=$!
    sanitize_model "$tool" san-token "${sanitize_token[@]}" > "$out/sanitizer-$tool-token.txt" 2>&1 &
    processes[$tool-token]=$!
  done
  for tool in memcheck racecheck initcheck; do
    for model in expert token; do
      wait "${processes[$tool-$model]}"
      result=$?
      [ $result -eq 0 ] || failed=1
      echo "== $tool, $model choice: $([ $result -eq 0 ] && echo clean || echo "FAILED ($result; 9: errors were found, 124: out of time)")"
      grep -E '^== |ERROR SUMMARY|RACECHECK SUMMARY|========= (Invalid|Uninit|Error|Race|Potential)' "$out/sanitizer-$tool-$model.txt" | sort | uniq -c | head -20
    done
  done
  return $failed
}

failed=0
for chosen in "${@:-machine tests golden graphs timings train}"; do
  for name in $chosen; do
    case $name in
      machine) part machine machine.txt machine ;;
      tests) part tests tests.txt tests ;;
      golden) part golden golden.txt golden ;;
      graphs) part graphs graphs.txt graphs ;;
      timings) part timings timings.txt timings && part "timings as modules" modules.txt modules ;;
      throughput) part throughput throughput.txt throughput ;;
      train) part train train.txt train ;;
      sanitize) part sanitize sanitizer.txt sanitize ;;
      *) echo "run-all.sh: no part '$name'; there are machine, tests, golden, graphs, timings, throughput, train, sanitize" >&2; exit 2 ;;
    esac || failed=1
  done
done
printf '%s\n' "${summary[@]}"
exit $failed
