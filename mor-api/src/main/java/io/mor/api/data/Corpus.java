package io.mor.api.data;

import io.mor.api.plugin.Stability;
import java.io.IOException;
import java.util.stream.Stream;

/**
 * A source of documents in a fixed order. Thread safety: each stream belongs to one thread.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Corpus {

    /**
     * The documents, read as they are consumed; close the stream.
     *
     * @throws IOException naming the file that cannot be read
     */
    Stream<Document> documents() throws IOException;

    /** A text that changes when the documents change: names, sizes and times of their files. */
    String fingerprint() throws IOException;

    /**
     * One document.
     *
     * @param name where it is from, for messages
     * @param text its text
     */
    record Document(String name, String text) {}
}
