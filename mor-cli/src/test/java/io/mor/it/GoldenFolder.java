package io.mor.it;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/** The golden cases as a folder on disk: in a reactor build they may be in classes or in a jar. */
final class GoldenFolder {

    private GoldenFolder() {}

    /** The folder of every case, sorted. */
    static List<Path> cases() throws IOException, URISyntaxException {
        URL inTestkit = Objects.requireNonNull(
                GoldenFolder.class.getResource("/io/mor/testkit/golden/README.md"), "the golden cases are not there");
        try (Stream<Path> inside = Files.list(of(inTestkit))) {
            return inside.filter(Files::isDirectory).sorted().toList();
        }
    }

    private static Path of(URL readme) throws IOException, URISyntaxException {
        URI uri = readme.toURI();
        if (uri.getScheme().equals("file")) {
            return Path.of(uri).getParent();
        }
        Path copy = Files.createTempDirectory("golden");
        try (FileSystem jar = FileSystems.newFileSystem(uri, Map.of())) {
            Path root = jar.provider().getPath(uri).getParent();
            List<Path> all;
            try (Stream<Path> inside = Files.walk(root)) {
                all = inside.toList();
            }
            for (Path each : all) {
                Path target = copy.resolve(root.relativize(each).toString());
                if (Files.isDirectory(each)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(each, target);
                }
            }
        }
        return copy;
    }
}
