#!/usr/bin/env bash
# Tests and times the backend cuda on this machine. Needs what mor-bench/gpu/pack.sh packed, an NVIDIA driver and NVRTC; neither Maven nor network.
#
# usage: mor-bench/gpu/run-all.sh [PART...]
#   machine   what is here: GPU, driver, compilers, the doctor's report
#   tests     every test of the backend, with JUnit's console launcher
#   golden    the golden cases in single precision, both modes
#   timings   kernels beside the card's own rates, on the class path and on the module path
#   sanitize  compute-sanitizer over the contract: memcheck, racecheck, initcheck
# Without a part: machine, tests, golden, timings. Results go to $OUT (default docs/benchmarks/gpu); the last lines say what passed.
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

timings() {
  "${java[@]}" -cp "$libs" io.mor.bench.gpu.CudaTimings "$work/kernels"
}

# The backend as a module, its natives in another one, only the benchmark on the class path: nothing but native access is a flag.
modules() {
  mkdir -p "$work/modules"
  cp "$gpu"/lib/mor-api-*.jar "$gpu"/lib/mor-backend-cuda-*.jar "$gpu"/lib/jcuda-*.jar "$gpu"/lib/jakarta.inject-api-*.jar "$work/modules/"
  timeout -k 10 "$limit" "$gpu/jre/bin/java" --enable-native-access=jcuda,io.mor.backend.cuda -p "$work/modules" --add-modules io.mor.backend.cuda \
    -cp "$(ls "$gpu"/lib/mor-bench-*.jar)" io.mor.bench.gpu.CudaTimings "$work/kernels"
}

sanitize() {
  local failed=0
  for tool in memcheck racecheck initcheck; do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all --print-limit 5 \
      "${java[@]}" -jar "$gpu/junit-console.jar" execute --disable-banner --fail-if-no-tests --details=summary \
      --class-path "$gpu/tests/backend-cuda:$libs" --select-class io.mor.backend.cuda.CudaBackendTest \
      --exclude-methodname '.*(fiftyRounds|tooMuchMemory|outOfMemory).*' || failed=$?
  done
  return $failed
}

failed=0
for chosen in "${@:-machine tests golden timings}"; do
  for name in $chosen; do
    case $name in
      machine) part machine machine.txt machine ;;
      tests) part tests tests.txt tests ;;
      golden) part golden golden.txt golden ;;
      timings) part timings timings.txt timings && part "timings as modules" modules.txt modules ;;
      sanitize) part sanitize sanitizer.txt sanitize ;;
      *) echo "run-all.sh: no part '$name'; there are machine, tests, golden, timings, sanitize" >&2; exit 2 ;;
    esac || failed=1
  done
done
printf '%s\n' "${summary[@]}"
exit $failed
