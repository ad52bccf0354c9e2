package io.mor.api.data;

import io.mor.api.plugin.Stability;
import java.util.OptionalInt;

/**
 * Text to token ids and back. Thread safety: safe for concurrent use.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Tokenizer extends AutoCloseable {

    /** Number of ids; ids are 0 .. size - 1. */
    int vocabularySize();

    /** The ids of a text, no special tokens added. */
    int[] encode(String text);

    /**
     * The bytes of ids, one after the other, UTF-8; a character may be spread over several ids. Ids that mark something, as {@link
     * #endOfText}
     * does, have no bytes. Unknown ids are an {@link IllegalArgumentException}.
     */
    byte[] decode(int[] ids);

    /** The id that ends a document, if there is one. */
    default OptionalInt endOfText() {
        return OptionalInt.empty();
    }

    /** The id that a prompt begins with, if the models of this tokenizer were trained so; {@link #encode} does not add it. */
    default OptionalInt beginOfText() {
        return OptionalInt.empty();
    }

    /** A text that changes when ids change their meaning: what shards and checkpoints are checked against. */
    String fingerprint();

    @Override
    default void close() {}
}
