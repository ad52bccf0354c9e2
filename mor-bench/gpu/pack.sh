#!/usr/bin/env bash
# Packs everything that mor-bench/gpu/run-all.sh needs on a machine with a GPU but no Maven and no network: a Java runtime made by jlink, the jars,
# the tests with JUnit's console launcher, the golden cases (inside mor-testkit's jar), and a text to train on if there is one.
#
# usage: mor-bench/gpu/pack.sh [FOLDER]     makes FOLDER/gpu.tar.xz, by default .carry/gpu.tar.xz at the project's root
#   MOR_GPU_TEXT   the text, by default ../shared/data/tinyshakespeare/input.txt beside the project
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
target=$(mkdir -p "${1:-$root/.carry}" && cd "${1:-$root/.carry}" && pwd)
limit_mib=52 # so that it travels together with a checkout in 64
junit_console=1.14.4
modules=plugins/backend-cuda,mor-cli,mor-bench

java_home() {
  for candidate in "${JAVA_HOME:-}" /usr/lib/jvm/*25* "$HOME"/.sdkman/candidates/java/25*; do
    if [ -x "$candidate/bin/jlink" ] && "$candidate/bin/java" -version 2>&1 | grep -q 'version "25'; then
      echo "$candidate"
      return
    fi
  done
  echo "pack.sh: no JDK 25 with jlink found; set JAVA_HOME to one" >&2
  exit 1
}
jdk=$(java_home)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/gpu/lib" "$work/gpu/tests"

cd "$root"
# package and copy in one reactor: the project's jars are taken from it, nothing is installed
mvn -q -pl "$modules" -am package -DskipTests org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies \
  -DincludeScope=test -DoutputDirectory="$work/gpu/lib" -DuseBaseVersion=true
mvn -q org.apache.maven.plugins:maven-dependency-plugin:copy \
  -Dartifact="org.junit.platform:junit-platform-console-standalone:$junit_console" -DoutputDirectory="$work/gpu" --non-recursive
mv "$work/gpu/junit-platform-console-standalone-$junit_console.jar" "$work/gpu/junit-console.jar"
for module in plugins/backend-cuda mor-cli mor-bench; do
  jar=$(ls "$root/$module"/target/*.jar 2>/dev/null | grep -v -e sources -e javadoc | head -1 || true)
  if [ -n "$jar" ]; then
    cp "$jar" "$work/gpu/lib/"
  fi
  if [ -d "$root/$module/target/test-classes" ]; then
    cp -r "$root/$module/target/test-classes" "$work/gpu/tests/$(basename "$module")"
  fi
done
# the console launcher brings JUnit itself; natives of tokenizers, MLflow's client, the report's charts, browser drivers and architecture rules are not
# needed on a GPU
rm -f "$work"/gpu/lib/echarts-* "$work"/gpu/lib/selenium-* "$work"/gpu/lib/commons-math3-* "$work"/gpu/lib/slf4j-api-1.7* "$work"/gpu/lib/junit-* "$work"/gpu/lib/opentest4j-* "$work"/gpu/lib/apiguardian-* "$work"/gpu/lib/tokenizers-* "$work"/gpu/lib/archunit-* \
  "$work"/gpu/lib/mor-tokenizer-huggingface-* "$work"/gpu/lib/mlflow-client-* "$work"/gpu/lib/mor-metrics-mlflow-*

# the database's native library for this kind of machine only, and not compressed twice
for jar in "$work"/gpu/lib/duckdb_jdbc-*.jar; do
  mkdir "$work/duckdb"
  (cd "$work/duckdb" && "$jdk/bin/jar" -xf "$jar" && rm -f libduckdb_java.so_macos* libduckdb_java.so_windows* libduckdb_java.so_linux_arm64 &&
    mv META-INF/MANIFEST.MF ../manifest && { strip --strip-unneeded libduckdb_java.so_linux_amd64 || true; } && "$jdk/bin/jar" -c -0 -f "$jar" -m ../manifest .)
done
# of JCuda's natives the compiler of PTX, which is not used, is by far the largest
for jar in "$work"/gpu/lib/jcuda-natives-*-linux-x86_64.jar; do
  mkdir "$work/natives"
  (cd "$work/natives" && "$jdk/bin/jar" -xf "$jar" && rm -f lib/libJNvPTXCompiler* && "$jdk/bin/jar" -c -f "$jar" .)
done
# the text that the studies and the quickstart train on
cp -r "$root/mor-cli/target/mor/corpus" "$work/gpu/"

# which of the jars are the mor command; the others are of the tests and the benchmarks, some in other versions
for jar in "$root"/mor-cli/target/mor/lib/*.jar; do
  if [ -f "$work/gpu/lib/${jar##*/}" ]; then
    echo "${jar##*/}"
  fi
done > "$work/gpu/mor.jars"

"$jdk/bin/jlink" --output "$work/gpu/jre" --strip-debug --no-header-files --no-man-pages \
  --add-modules java.base,java.logging,java.management,java.net.http,java.sql,java.xml,jdk.incubator.vector,jdk.jfr,jdk.management,jdk.unsupported,jdk.zipfs
text=${MOR_GPU_TEXT:-$root/../shared/data/tinyshakespeare/input.txt}
if [ -f "$text" ]; then
  cp "$text" "$work/gpu/input.txt"
else
  echo "pack.sh: $text is not there, so run-all.sh's part train will not run" >&2
fi
git -C "$root" rev-parse HEAD > "$work/gpu/commit" 2>/dev/null || echo unknown > "$work/gpu/commit"

tar -C "$work" -cf - gpu | xz -T0 -6 > "$target/gpu.tar.xz"
bytes=$(stat -c %s "$target/gpu.tar.xz")
echo "$target/gpu.tar.xz: $((bytes / 1024 / 1024)) MiB"
if [ "$bytes" -gt $((limit_mib * 1024 * 1024)) ]; then
  echo "pack.sh: larger than $limit_mib MiB" >&2
  exit 1
fi
