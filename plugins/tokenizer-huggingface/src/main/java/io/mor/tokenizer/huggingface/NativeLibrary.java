package io.mor.tokenizer.huggingface;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Loads the native library that is in DJL's jar, once for each class loader. DJL's own loading asks for GPUs, may download another library,
 * and keeps its copy where a second class loader cannot load it again; this one takes a private copy and removes it.
 */
final class NativeLibrary {

    private static final List<String> WINDOWS_COMPANIONS =
            List.of("libwinpthread-1.dll", "libgcc_s_seh-1.dll", "libstdc++-6.dll");

    private NativeLibrary() {}

    /** Loading is what the initialisation of a class is for: at most once, whatever the number of threads. */
    private static final class Loaded {
        static final TokenizersLibrary LIBRARY = load();
    }

    /**
     * The functions.
     *
     * @throws LinkageError if there is no library for this platform or it cannot be loaded
     */
    static TokenizersLibrary get() {
        return Loaded.LIBRARY;
    }

    private static TokenizersLibrary load() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String processor = System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x86_64";
        boolean windows = system.startsWith("windows");
        String platform = (windows ? "win" : system.startsWith("mac") ? "osx" : "linux") + "-" + processor;
        try {
            Path folder = Files.createTempDirectory("mor-tokenizers");
            try {
                if (windows) {
                    for (String companion : WINDOWS_COMPANIONS) {
                        System.load(copy(platform, companion, folder).toString());
                    }
                }
                System.load(copy(platform, System.mapLibraryName("tokenizers"), folder)
                        .toString());
            } finally {
                remove(folder);
            }
        } catch (IOException e) {
            UnsatisfiedLinkError error =
                    new UnsatisfiedLinkError("the native library cannot be copied to a temporary folder: " + e);
            error.initCause(e);
            throw error;
        }
        return TokenizersLibrary.LIB;
    }

    private static Path copy(String platform, String name, Path folder) throws IOException {
        String resource = "/native/lib/" + platform + "/cpu/" + name;
        try (InputStream in = TokenizersLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("the DJL tokenizers library has no " + resource);
            }
            Path file = folder.resolve(name);
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            return file.toAbsolutePath();
        }
    }

    /** A loaded library needs its file no longer, except on Windows, where it goes with the process. */
    private static void remove(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> list = Files.list(folder)) {
            files = list.toList();
        }
        for (Path file : files) {
            try {
                Files.delete(file);
            } catch (IOException e) {
                folder.toFile().deleteOnExit(); // in reverse order: the file first
                file.toFile().deleteOnExit();
            }
        }
        if (files.stream().noneMatch(Files::exists)) {
            Files.delete(folder);
        }
    }
}
