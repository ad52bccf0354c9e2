package io.mor.backend.cuda;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What of NVIDIA's is on this machine and what is missing for the backend {@code cuda}: for {@code mor doctor}.
 *
 * @param summary one sentence: the GPU that would be used, or why none can be
 * @param lines the driver, every GPU, every library with where it was found, and the folders that were looked into
 * @param usable whether the backend can be opened
 */
public record CudaDoctor(String summary, List<String> lines, boolean usable) {

    /** Copies the list. */
    public CudaDoctor {
        lines = List.copyOf(lines);
    }

    /** Examines this machine; opens nothing that stays open. */
    public static CudaDoctor examine() {
        return examine(LibrarySearch.ofThisMachine());
    }

    static CudaDoctor examine(LibrarySearch search) {
        List<String> lines = new ArrayList<>();
        int driverVersion = 13000;
        boolean hasGpu = false;
        String summary = "";
        try {
            int count = Device.count(search);
            driverVersion = Device.driverVersion();
            lines.add("driver: serves CUDA " + driverVersion / 1000 + "." + driverVersion % 1000 / 10);
            for (int ordinal = 0; ordinal < count; ordinal++) {
                try (Device device = Device.open(ordinal, search)) {
                    long[] memory = device.memory();
                    String gpu = "GPU " + ordinal + ": " + device.name + ", compute capability " + device.major + "."
                            + device.minor + ", " + device.multiprocessors + " multiprocessors, " + (memory[0] >> 20)
                            + " of " + (memory[1] >> 20) + " MiB free";
                    lines.add(gpu);
                    summary = hasGpu ? summary : gpu;
                    hasGpu = true;
                } catch (CudaUnavailableException | IllegalStateException unusable) {
                    lines.add("GPU " + ordinal + ": " + unusable.getMessage());
                    summary = hasGpu ? summary : unusable.getMessage();
                }
            }
        } catch (CudaUnavailableException absent) {
            summary = absent.getMessage();
            lines.add("GPU: " + summary);
        }
        Optional<Path> compiler =
                report(lines, search, "libnvrtc", driverVersion, "compiles the kernels", "nvidia-cuda-nvrtc");
        report(lines, search, "libcublasLt", driverVersion, "multiplies matrices in the fast mode", "nvidia-cublas");
        lines.add("looked into: "
                + String.join(
                        ", ", search.folders().stream().map(Path::toString).toList()));
        if (hasGpu && compiler.isEmpty()) {
            summary = summary
                    + "; but libnvrtc is missing: install the CUDA toolkit or the Python package nvidia-cuda-nvrtc, or set CUDA_HOME";
        }
        return new CudaDoctor(summary, lines, hasGpu && compiler.isPresent());
    }

    private static Optional<Path> report(
            List<String> lines,
            LibrarySearch search,
            String library,
            int driverVersion,
            String purpose,
            String pythonPackage) {
        LibrarySearch.Result result = search.find(LibrarySearch.versions(library, driverVersion));
        lines.add(library + " (" + purpose + "): "
                + result.library()
                        .map(Path::toString)
                        .orElse("not found, looked for " + String.join(" and ", result.names())
                                + "; install the CUDA toolkit or the Python package " + pythonPackage
                                + ", or set CUDA_HOME"));
        return result.library();
    }
}
