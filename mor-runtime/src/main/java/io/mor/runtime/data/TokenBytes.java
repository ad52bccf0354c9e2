package io.mor.runtime.data;

import io.mor.api.data.Tokenizer;

/**
 * How many bytes of UTF-8 each id stands for, so that a loss per token can be told in bits per byte. The id that ends a text stands for
 * none. Thread safety: immutable.
 */
public final class TokenBytes {

    private final int[] lengths;

    /** The lengths of a tokenizer's ids, by decoding each of them on its own. */
    public TokenBytes(Tokenizer tokenizer) {
        lengths = new int[tokenizer.vocabularySize()];
        for (int id = 0; id < lengths.length; id++) {
            boolean isEnd =
                    tokenizer.endOfText().isPresent() && tokenizer.endOfText().getAsInt() == id;
            lengths[id] = isEnd ? 0 : tokenizer.decode(new int[] {id}).length;
        }
    }

    /** Bytes that an id stands for. */
    public int of(int id) {
        return lengths[id];
    }

    /** Bytes that ids stand for together. */
    public long sum(int[] ids) {
        long sum = 0;
        for (int id : ids) {
            sum += lengths[id];
        }
        return sum;
    }
}
