package io.mor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** Text to train on that needs no download. */
final class BundledText {

    private BundledText() {}

    /** The Java sources that Maven brought for a library of ours; failing those, the JDK's own; empty if neither is there. */
    static Optional<String> find() throws IOException {
        Path corpus = folder();
        if (Files.isDirectory(corpus)) {
            try (Stream<Path> inside = Files.list(corpus)) {
                Optional<Path> jar = inside.filter(path -> path.toString().endsWith("-sources.jar"))
                        .sorted()
                        .findFirst();
                if (jar.isPresent()) {
                    return Optional.of(jar.get() + "!/**/*.java");
                }
            }
        }
        return Files.isRegularFile(jdk()) ? Optional.of(jdk() + "!/java.base/java/util/**/*.java") : Optional.empty();
    }

    /** Where it was looked for. */
    static String places() {
        return folder() + " and " + jdk();
    }

    private static Path folder() {
        return Path.of(System.getProperty("mor.home", "."), "corpus");
    }

    private static Path jdk() {
        return Path.of(System.getProperty("java.home"), "lib", "src.zip");
    }
}
