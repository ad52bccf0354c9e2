package io.mor.testkit;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.data.ByteTokenizer;

/** The tokenizer {@code byte} with an end of text. */
class ByteTokenizerWithEndOfTextTest extends TokenizerContract {
    @Override
    protected Tokenizer tokenizer() {
        return new ByteTokenizer(new ByteTokenizer.Config(true));
    }

    @Override
    protected Tokenizer differentTokenizer() {
        return new ByteTokenizer(new ByteTokenizer.Config(false));
    }
}
