package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Stream;

/**
 * Corpora one after the other.
 *
 * @param parts in order
 */
public record ConcatenatedCorpus(List<Corpus> parts) implements Corpus {

    /** Copies the list. */
    public ConcatenatedCorpus {
        parts = List.copyOf(parts);
    }

    @Override
    public Stream<Document> documents() {
        return parts.stream().flatMap(part -> {
            try {
                return part.documents();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    @Override
    public String fingerprint() throws IOException {
        Fingerprint fingerprint = new Fingerprint().add("concatenated");
        for (Corpus part : parts) {
            fingerprint.add(part.fingerprint());
        }
        return fingerprint.hex();
    }
}
