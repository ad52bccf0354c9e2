package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernel sources, as far as they can be tested without a GPU. */
class KernelSourceTest {

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {"arch=compute_80,code=sm_80", "arch=compute_90a,code=sm_90a", "arch=compute_90,code=compute_90"})
    void nvccCompilesEverySourceWithoutAWarning(String target)
            throws IOException, InterruptedException, ExecutionException {
        Optional<Path> nvcc = onPath("nvcc");
        assumeTrue(nvcc.isPresent(), "skipped, nvcc is not on the PATH");
        for (String file : KernelSource.FILES) {
            write(KernelSource.of(file));
        }
        try (ExecutorService compilers =
                Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())) {
            for (Future<Void> done : compilers.invokeAll(KernelSource.FILES.stream()
                    .map(file -> (Callable<Void>) () -> {
                        compile(nvcc.get(), target, file);
                        return null;
                    })
                    .toList())) {
                done.get();
            }
        }
    }

    /** They launch kernels with arguments of their own, so a change of a kernel can break them. In the full profile, for it takes two minutes. */
    @Test
    void nvccCompilesTheBenchmarksOfKernels() throws IOException, InterruptedException {
        assumeTrue(
                "full".equals(System.getProperty("mor.test.profile")),
                "skipped, the benchmarks of kernels are compiled in the full profile");
        Optional<Path> nvcc = onPath("nvcc");
        assumeTrue(nvcc.isPresent(), "skipped, nvcc is not on the PATH");
        for (String file : KernelSource.FILES) {
            write(KernelSource.of(file));
        }
        try (Stream<Path> sources = Files.list(Path.of("..", "..", "mor-bench", "gpu"))) {
            List<Path> benchmarks =
                    sources.filter(source -> source.toString().endsWith(".cu")).toList();
            assertTrue(benchmarks.size() >= 3, benchmarks.toString());
            for (Path benchmark : benchmarks) {
                run(List.of(
                        nvcc.get().toString(),
                        "-c",
                        "-std=c++17",
                        "--fmad=false",
                        "-gencode",
                        "arch=compute_90a,code=sm_90a",
                        "-I",
                        folder.toString(),
                        "-o",
                        folder.resolve(benchmark.getFileName() + ".o").toString(),
                        benchmark.toString()));
            }
        }
    }

    private void compile(Path nvcc, String target, String file) throws IOException, InterruptedException {
        boolean isMachineCode = target.contains("code=sm");
        Path out = folder.resolve(file + (isMachineCode ? ".cubin" : ".ptx"));
        run(List.of(
                nvcc.toString(),
                isMachineCode ? "-cubin" : "-ptx",
                "-std=c++17",
                "-gencode",
                target,
                "-Werror",
                "all-warnings",
                "-o",
                out.toString(),
                folder.resolve(file).toString()));
        String code = Files.readString(out, StandardCharsets.ISO_8859_1);
        for (String kernel : KernelNames.of(KernelSource.of(file).text())) {
            assertTrue(
                    code.contains((isMachineCode ? ".text." : ".entry ") + kernel),
                    file + " for " + target + " has no kernel " + kernel);
        }
    }

    @Test
    void nvrtcCompilesEverySource() {
        Optional<Path> library = LibrarySearch.ofThisMachine()
                .find(LibrarySearch.versions("libnvrtc", 13000))
                .library();
        assumeTrue(library.isPresent(), "skipped, libnvrtc is not on this machine");
        try (KernelCompiler compiler = new KernelCompiler(folder, new Nvrtc(library.get()), "sm_90a", 13000)) {
            for (String file : KernelSource.FILES) {
                KernelSource source = KernelSource.of(file);
                byte[] code = compiler.compile(source);
                assertEquals('E', code[1], file + " is an ELF file");
                assertTrue(Files.isRegularFile(compiler.file(source)), file + " is kept");
            }
            KernelSource broken =
                    new KernelSource("broken.cu", "extern \"C\" __global__ void broken() { nonsense; }", List.of());
            IllegalArgumentException refusal =
                    assertThrows(IllegalArgumentException.class, () -> compiler.compile(broken));
            assertTrue(
                    refusal.getMessage().contains("broken.cu")
                            && refusal.getMessage().contains("nonsense"),
                    refusal.getMessage());
            assertFalse(Files.exists(compiler.file(broken)), "nothing is kept of what does not compile");
        }
    }

    @Test
    void aKernelsNameIsUnique() {
        Set<String> seen = new HashSet<>();
        for (String file : KernelSource.FILES) {
            List<String> names = KernelNames.of(KernelSource.of(file).text());
            assertFalse(names.isEmpty(), file + " has kernels");
            names.forEach(name -> assertTrue(seen.add(name), name + " is in two sources"));
        }
        assertTrue(seen.size() > 60, seen.size() + " kernels");
    }

    @Test
    void noKernelAddsFloatsAtomically() {
        for (String file : KernelSource.FILES) {
            // the only atomics are counts and bounds in integers
            KernelSource.of(file)
                    .text()
                    .lines()
                    .filter(line -> line.contains("atomic"))
                    .forEach(line -> assertTrue(
                            line.contains("histogram")
                                    || line.contains("&low")
                                    || line.contains("&high")
                                    || line.contains("//"),
                            line));
        }
    }

    private void write(KernelSource source) throws IOException {
        Files.writeString(folder.resolve(source.name()), source.text());
        for (KernelSource.Header header : source.headers()) {
            Files.writeString(folder.resolve(header.name()), header.text());
        }
    }

    private static void run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(600, TimeUnit.SECONDS), "nvcc takes too long");
        assertEquals(0, process.exitValue(), String.join(" ", command) + "\n" + output);
    }

    private static Optional<Path> onPath(String program) {
        List<Path> candidates = new ArrayList<>();
        Stream.of(Optional.ofNullable(System.getenv("PATH")).orElse("").split(File.pathSeparator))
                .forEach(entry -> candidates.add(Path.of(entry).resolve(program)));
        return candidates.stream().filter(Files::isExecutable).findFirst();
    }
}
