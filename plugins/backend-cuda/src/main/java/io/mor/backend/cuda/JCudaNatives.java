package io.mor.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import jcuda.JCudaVersion;
import jcuda.LibUtils;
import jcuda.driver.JCudaDriver;

/**
 * Makes JCuda's driver API usable on the module path and on the class path alike.
 *
 * <p>JCuda looks for its native library with {@code System.loadLibrary}, then as a resource of its own module, which on the module path does not
 * hold it (the natives are another module), and in both cases loads a file of fixed name in {@code java.io.tmpdir}, if there is one. So the
 * library is put, from wherever the class loader finds it, into a fresh folder that only this user can read, and that property names the
 * folder for the moment in which JCuda loads. The fresh folder also lets two class loaders of one process use JCuda.
 */
final class JCudaNatives {

    private static final String DRIVER = "libcuda.so.1";

    private JCudaNatives() {}

    /**
     * Loads the driver and JCuda; does nothing the second time.
     *
     * @throws CudaUnavailableException if either cannot be loaded
     */
    static void load(LibrarySearch search) {
        loadDriver(search);
        if (Loaded.FAILURE.isPresent()) {
            Throwable failure = Loaded.FAILURE.get();
            throw new CudaUnavailableException(
                    "JCuda cannot be loaded (" + failure.getMessage()
                            + "); is the temporary folder writable and executable?",
                    failure);
        }
    }

    /** Loads JCuda once for this class loader, when first asked. */
    private static final class Loaded {

        static final Optional<Throwable> FAILURE = attempt();

        private static Optional<Throwable> attempt() {
            try {
                loadJCuda();
                return Optional.empty();
            } catch (IOException | LinkageError failure) {
                return Optional.of(failure);
            }
        }
    }

    /** The driver must be in the process before JCuda's library, which names it, also where the system's loader does not find it. */
    private static void loadDriver(LibrarySearch search) {
        try {
            SymbolLookup.libraryLookup(DRIVER, Arena.global());
        } catch (IllegalArgumentException notOnTheLoadersPath) {
            Optional<Path> library = search.find(List.of(DRIVER)).library();
            if (library.isEmpty()) {
                throw new CudaUnavailableException(
                        "no NVIDIA driver is installed here (" + DRIVER
                                + " was not found); install the driver, or use backend: cpu",
                        notOnTheLoadersPath);
            }
            try {
                SymbolLookup.libraryLookup(library.get(), Arena.global());
            } catch (IllegalArgumentException unloadable) {
                throw new CudaUnavailableException(
                        "the NVIDIA driver " + library.get() + " cannot be loaded; reinstall it, or use backend: cpu",
                        unloadable);
            }
        }
    }

    private static void loadJCuda() throws IOException {
        String file = LibUtils.createLibraryFileName("JCudaDriver-" + JCudaVersion.get() + "-linux-x86_64");
        Path folder = Files.createTempDirectory("mor-jcuda");
        Path library = folder.resolve(file);
        String temporaryFolder = System.getProperty("java.io.tmpdir");
        try (InputStream in = resource("lib/" + file)) {
            Files.copy(in, library, StandardCopyOption.REPLACE_EXISTING);
            System.setProperty("java.io.tmpdir", folder.toString());
            JCudaDriver.setExceptionsEnabled(false); // return codes are checked here; this call runs the initialiser
        } finally {
            System.setProperty("java.io.tmpdir", temporaryFolder);
            Files.deleteIfExists(library); // the process keeps what it has mapped
            Files.deleteIfExists(folder);
        }
    }

    private static InputStream resource(String name) throws IOException {
        // "lib" holds no class, so on the module path it is no package and its files are open to every module
        InputStream in = JCudaNatives.class.getClassLoader().getResourceAsStream(name);
        if (in == null) {
            in = JCudaDriver.class.getClassLoader().getResourceAsStream(name);
        }
        if (in == null) {
            throw new IOException("the resource " + name
                    + " is missing: put jcuda-natives-12.6.0-linux-x86_64.jar beside jcuda-12.6.0.jar");
        }
        return in;
    }
}
