package io.mor.testkit;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.data.CharacterTokenizer;

/** The tokenizer {@code character}. */
class CharacterTokenizerTest extends TokenizerContract {
    @Override
    protected Tokenizer tokenizer() {
        return new CharacterTokenizer(new CharacterTokenizer.Config(alphabet(), ""));
    }

    @Override
    protected Tokenizer differentTokenizer() {
        return new CharacterTokenizer(new CharacterTokenizer.Config(alphabet() + "!", ""));
    }
}
