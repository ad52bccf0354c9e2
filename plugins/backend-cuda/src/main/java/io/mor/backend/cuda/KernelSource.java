package io.mor.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
            "flash_gradient_hopper.cu",
            "flash_decode.cu",
            "products_hopper.cu",
            "norm_hopper.cu");

    private static final Pattern INCLUDE = Pattern.compile("^#include \"(\\w+\\.cuh)\"", Pattern.MULTILINE);

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
        Map<String, Header> headers = new LinkedHashMap<>();
        collect(text, headers);
        return new KernelSource(file, text, List.copyOf(headers.values()));
    }

    /** What a text includes, and what that includes. */
    private static void collect(String text, Map<String, Header> headers) {
        for (Matcher include = INCLUDE.matcher(text); include.find(); ) {
            String name = include.group(1);
            if (!headers.containsKey(name)) {
                Header header = new Header(name, read(name));
                headers.put(name, header);
                collect(header.text(), headers);
            }
        }
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
