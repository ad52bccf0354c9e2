package io.mor.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/**
 * A file of CUDA C++ kernels.
 *
 * @param name its file name
 * @param text its contents
 * @param headers what it includes
 */
record KernelSource(String name, String text, List<Header> headers) {

    /** The files of this backend. */
    static final List<String> FILES = List.of(
            "elementwise.cu",
            "rows.cu",
            "indexing.cu",
            "matmul.cu",
            "attention.cu",
            "optimizer.cu",
            "transfer.cu",
            "narrow.cu",
            "flash.cu",
            "flash_hopper.cu",
            "flash_decode.cu");

    private static final String COMMON = "common.cuh";
    private static final String FLASH = "flash.cuh"; // includes the other

    /**
     * A file that kernels include.
     *
     * @param name as the include says it
     * @param text its contents
     */
    record Header(String name, String text) {}

    KernelSource {
        headers = List.copyOf(headers);
    }

    /** One of {@link #FILES}. */
    static KernelSource of(String file) {
        String text = read(file);
        boolean isFlash = text.contains("#include \"" + FLASH + "\"");
        return new KernelSource(
                file,
                text,
                Stream.of(COMMON, FLASH)
                        .filter(header -> isFlash || header.equals(COMMON))
                        .map(header -> new Header(header, read(header)))
                        .toList());
    }

    private static String read(String file) {
        try (InputStream in = KernelSource.class.getResourceAsStream(file)) {
            if (in == null) {
                throw new IllegalStateException(
                        "the kernel source " + file + " is missing from the jar of the cuda backend; rebuild it");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("the kernel source " + file + " cannot be read", e);
        }
    }
}
