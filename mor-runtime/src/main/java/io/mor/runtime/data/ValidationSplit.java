package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.util.Objects;

/** Where validation text comes from. A fraction takes the last part of the corpus. */
public sealed interface ValidationSplit {

    /** No validation text. */
    record None() implements ValidationSplit {}

    /**
     * The last part of the tokens.
     *
     * @param fraction in (0, 1)
     */
    record TokenFraction(double fraction) implements ValidationSplit {
        /** Checks the range. */
        public TokenFraction {
            requireFraction(fraction);
        }
    }

    /**
     * The last part of the characters (code points); both parts are tokenised on their own. The same characters validate every tokenizer, so
     * that bits per byte compare.
     *
     * @param fraction in (0, 1)
     */
    record CharacterFraction(double fraction) implements ValidationSplit {
        /** Checks the range. */
        public CharacterFraction {
            requireFraction(fraction);
        }
    }

    /**
     * A corpus of its own.
     *
     * @param corpus the validation text
     */
    record Separate(Corpus corpus) implements ValidationSplit {
        /** Checks for null. */
        public Separate {
            Objects.requireNonNull(corpus, "corpus is null");
        }
    }

    private static void requireFraction(double fraction) {
        if (!(fraction > 0 && fraction < 1)) {
            throw new IllegalArgumentException(
                    "the validation fraction is " + fraction + "; it must be between 0 and 1, both excluded");
        }
    }

    /** How many of a number of items train, the rest being validation: floor(items (1 - fraction)), as nanoGPT cuts. */
    static long training(long items, double fraction) {
        return (long) (items * (1 - fraction));
    }
}
