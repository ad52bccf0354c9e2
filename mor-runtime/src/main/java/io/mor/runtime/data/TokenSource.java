package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.util.HexFormat;
import java.util.Objects;

/**
 * What token shards are made from.
 *
 * @param corpus the text
 * @param validation which part of it validates
 * @param endOfText whether the tokenizer's end-of-text id, if it has one, follows every document
 */
public record TokenSource(Corpus corpus, ValidationSplit validation, boolean endOfText) {

    /** Checks for null. */
    public TokenSource {
        Objects.requireNonNull(corpus, "corpus is null");
        Objects.requireNonNull(validation, "validation is null");
    }

    /** Changes when the tokens would change because of the text or of how it is cut. */
    byte[] fingerprint() throws IOException {
        Fingerprint fingerprint = new Fingerprint().add(corpus.fingerprint()).add(endOfText ? 1 : 0);
        switch (validation) {
            case ValidationSplit.None none -> fingerprint.add("none");
            case ValidationSplit.TokenFraction split ->
                fingerprint.add("tokens").add(Double.doubleToLongBits(split.fraction()));
            case ValidationSplit.CharacterFraction split ->
                fingerprint.add("characters").add(Double.doubleToLongBits(split.fraction()));
            case ValidationSplit.Separate split ->
                fingerprint.add("separate").add(split.corpus().fingerprint());
        }
        return fingerprint.bytes();
    }

    /** A file name that is the same for the same tokens alone. */
    public String name(Tokenizer tokenizer) throws IOException {
        byte[] both = new Fingerprint()
                .add(HexFormat.of().formatHex(fingerprint()))
                .add(tokenizer.fingerprint())
                .bytes();
        return HexFormat.of().formatHex(both, 0, 8);
    }

    static byte[] fingerprint(Tokenizer tokenizer) {
        return new Fingerprint().add(tokenizer.fingerprint()).bytes();
    }
}
