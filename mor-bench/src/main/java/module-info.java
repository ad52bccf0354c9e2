/**
 * Benchmarks: programs that print achieved figures beside what the machine can do, and end with one line of JSON.
 *
 * <p>Exports and opens nothing; started by name ({@code java -m io.mor.bench/io.mor.bench.KernelBenchmark}).
 */
module io.mor.bench {
    requires io.mor.api;
    requires io.mor.backend.cpu;
    requires io.mor.backend.cuda;
    requires io.mor.runtime;
    requires java.management;
    requires jdk.incubator.vector;
}
