package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.util.Map;

/**
 * A tokenizer whose vocabulary can come from the corpus of a run. Whoever prepares the run asks {@link #needsCorpus}, learns once, puts the
 * {@linkplain Learned#config learned config} into the {@code tokenizer} section of the resolved config, and uses the learned tokenizer: the
 * resolved config is saved in the run folder, so that the same ids mean the same text ever after.
 *
 * <p>Until it has learned, every other method throws {@link IllegalStateException}.
 */
public interface LearnableTokenizer extends Tokenizer {

    /** Whether the config left the vocabulary to the corpus. */
    boolean needsCorpus();

    /**
     * Reads the whole corpus.
     *
     * @param corpus training and validation text
     * @throws IOException if the corpus cannot be read or is empty
     */
    Learned learn(Corpus corpus) throws IOException;

    /**
     * What was learned.
     *
     * @param tokenizer with a vocabulary
     * @param config the config keys (kebab-case) that make the same tokenizer again
     */
    record Learned(Tokenizer tokenizer, Map<String, String> config) {}
}
