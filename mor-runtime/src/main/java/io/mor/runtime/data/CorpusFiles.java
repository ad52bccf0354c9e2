package io.mor.runtime.data;

import io.mor.api.data.Corpus.Document;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the corpora of files share. */
final class CorpusFiles {

    private static final long LARGEST_DOCUMENT = 1L << 30;

    private CorpusFiles() {}

    static void requireFile(Path file) throws CorpusException {
        if (!Files.exists(file)) {
            throw new CorpusException(missing(file));
        }
        if (!Files.isRegularFile(file)) {
            throw new CorpusException(
                    file + " is not a file; give a file, or a folder with a pattern like " + file + "/**/*.txt");
        }
        if (!Files.isReadable(file)) {
            throw new CorpusException(file + " cannot be read; check its permissions");
        }
    }

    static String missing(Path file) {
        String hint = file.isAbsolute()
                ? "check the path"
                : "relative paths start at " + Path.of("").toAbsolutePath();
        return "no such file or folder: " + file + "; " + hint;
    }

    static void requireSize(String name, long bytes) throws CorpusException {
        if (bytes > LARGEST_DOCUMENT) {
            throw new CorpusException(name + " is one document of " + bytes + " bytes, more than the "
                    + LARGEST_DOCUMENT + " that are possible; split it into files or JSON lines");
        }
    }

    static Document read(String name, Path file, Utf8Decoding decoding) {
        try {
            requireSize(name, Files.size(file));
            return new Document(name, decoding.decode(name, Files.readAllBytes(file)));
        } catch (CorpusException e) {
            throw new UncheckedIOException(e);
        } catch (IOException e) {
            throw new UncheckedIOException(new CorpusException(name + " cannot be read: " + e, e));
        }
    }

    static void addTo(Fingerprint fingerprint, String name, Path file) throws IOException {
        fingerprint
                .add(name)
                .add(Files.size(file))
                .add(Files.getLastModifiedTime(file).toMillis());
    }
}
