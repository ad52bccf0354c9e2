package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * The files below a folder that match a glob, each a document, ordered by their path relative to the folder.
 *
 * @param folder the folder
 * @param glob over relative paths with '/'; {@code **}{@code /*.txt} matches in the folder itself too
 * @param listener hears warnings
 */
public record FolderCorpus(Path folder, String glob, DataListener listener) implements Corpus {

    /** Checks for null only: the folder is looked at when it is read. */
    public FolderCorpus {
        Objects.requireNonNull(folder, "folder is null");
        Objects.requireNonNull(glob, "glob is null");
        Objects.requireNonNull(listener, "listener is null");
    }

    private record Found(String name, Path file) {}

    private List<Found> files() throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new CorpusException(Files.exists(folder) ? folder + " is not a folder" : CorpusFiles.missing(folder));
        }
        Glob matcher = new Glob(glob);
        List<Found> found;
        try (Stream<Path> walk = Files.walk(folder)) {
            found = walk.filter(Files::isRegularFile)
                    .filter(file -> matcher.matches(folder.relativize(file)))
                    .map(file -> new Found(folder.relativize(file).toString().replace('\\', '/'), file))
                    .sorted(Comparator.comparing(Found::name))
                    .toList();
        }
        if (found.isEmpty()) {
            throw new CorpusException(
                    "no file below " + folder + " matches '" + glob + "'; change the pattern (** matches everything)");
        }
        return found;
    }

    @Override
    public Stream<Document> documents() throws IOException {
        Utf8Decoding decoding = new Utf8Decoding(listener);
        return files().stream()
                .map(found -> CorpusFiles.read(folder + "/" + found.name(), found.file(), decoding))
                .onClose(decoding::warn);
    }

    @Override
    public String fingerprint() throws IOException {
        Fingerprint fingerprint = new Fingerprint().add("folder");
        for (Found found : files()) {
            CorpusFiles.addTo(fingerprint, found.name(), found.file());
        }
        return fingerprint.hex();
    }
}
