package io.mor.backend.cuda;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * Compiles kernel sources for one card and keeps the machine code on disk, under a hash of the source, what it includes, the options and the
 * versions of compiler and driver. A folder that cannot be written costs a compilation per start and is said once.
 */
final class KernelCompiler implements AutoCloseable {

    private static final System.Logger LOG = System.getLogger(KernelCompiler.class.getName());

    private final Path folder;
    private final Nvrtc nvrtc;
    private final String nvrtcVersion;
    private final String architecture;
    private final int driverVersion;
    private boolean warned;

    KernelCompiler(Path folder, Nvrtc nvrtc, String architecture, int driverVersion) {
        this.folder = folder;
        this.nvrtc = nvrtc;
        this.nvrtcVersion = nvrtc.version();
        this.architecture = architecture;
        this.driverVersion = driverVersion;
    }

    /**
     * The options every source is compiled with. Without {@code fmad} the compiler fuses no multiplication with an addition by itself: it would
     * do so in one copy of an unrolled loop and not in the next, so that an element's bits would depend on where it lies. Kernels whose speed
     * or error depends on fused operations say {@code fmaf}.
     */
    static List<String> options(String architecture) {
        return List.of(
                "--gpu-architecture=" + architecture,
                "--std=c++17",
                "--fmad=false",
                "--ftz=false",
                "--prec-div=true",
                "--prec-sqrt=true");
    }

    /** Machine code for the card, from disk if it is there. */
    byte[] compile(KernelSource source) {
        Path file = file(source);
        Optional<byte[]> kept = read(file);
        if (kept.isPresent()) {
            return kept.get();
        }
        return recompile(source);
    }

    /** Machine code, compiled now. */
    byte[] recompile(KernelSource source) {
        byte[] code = nvrtc.compile(source.name(), source.text(), source.headers(), options(architecture));
        keep(file(source), code);
        return code;
    }

    /** Where the machine code of a source is kept. */
    Path file(KernelSource source) {
        StringBuilder everything = new StringBuilder();
        everything.append(source.name()).append('\0').append(source.text()).append('\0');
        source.headers()
                .forEach(header -> everything
                        .append(header.name())
                        .append('\0')
                        .append(header.text())
                        .append('\0'));
        options(architecture).forEach(option -> everything.append(option).append('\0'));
        everything.append(nvrtcVersion).append('\0').append(driverVersion);
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256")
                    .digest(everything.toString().getBytes(StandardCharsets.UTF_8));
            return folder.resolve(
                    source.name().replace(".cu", "") + "-" + HexFormat.of().formatHex(hash, 0, 16) + ".cubin");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("this Java has no SHA-256", e);
        }
    }

    private static Optional<byte[]> read(Path file) {
        try {
            return Files.isRegularFile(file) ? Optional.of(Files.readAllBytes(file)) : Optional.empty();
        } catch (IOException unreadable) {
            return Optional.empty(); // compiled again
        }
    }

    private void keep(Path file, byte[] code) {
        try {
            Files.createDirectories(folder);
            Path temporary = Files.createTempFile(folder, "compiling", ".cubin");
            Files.write(temporary, code);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            if (!warned) {
                warned = true;
                LOG.log(
                        System.Logger.Level.WARNING,
                        "compiled kernels cannot be kept in " + folder + " (" + e
                                + "), so every start compiles them; set backend.cache-folder to a writable folder");
            }
        }
    }

    @Override
    public void close() {
        nvrtc.close();
    }
}
