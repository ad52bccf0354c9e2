package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * One text file, one document. Bytes that are not UTF-8 become U+FFFD and are counted in a warning when the stream is closed.
 *
 * @param file the file
 * @param listener hears warnings
 */
public record TextFileCorpus(Path file, DataListener listener) implements Corpus {

    /** Checks for null only: the file is looked at when it is read. */
    public TextFileCorpus {
        Objects.requireNonNull(file, "file is null");
        Objects.requireNonNull(listener, "listener is null");
    }

    @Override
    public Stream<Document> documents() throws IOException {
        CorpusFiles.requireFile(file);
        if (Files.size(file) == 0) {
            throw new CorpusException(file + " is empty; give a file with text");
        }
        Utf8Decoding decoding = new Utf8Decoding(listener);
        return Stream.of(file)
                .map(path -> CorpusFiles.read(path.toString(), path, decoding))
                .onClose(decoding::warn);
    }

    @Override
    public String fingerprint() throws IOException {
        CorpusFiles.requireFile(file);
        Fingerprint fingerprint = new Fingerprint().add("text-file");
        CorpusFiles.addTo(fingerprint, file.getFileName().toString(), file);
        return fingerprint.hex();
    }
}
