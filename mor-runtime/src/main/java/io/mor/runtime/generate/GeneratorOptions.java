package io.mor.runtime.generate;

/**
 * How a {@link Generator} works; no choice changes a result.
 *
 * @param maxSequences sequences decoded side by side; requests beyond wait until one ends
 * @param prefillRows the most prompt tokens taken in one call of the model
 * @param promptSkip whether a prefill leaves out the recursions whose results nobody reads (spec 4.1), where the model allows it
 */
public record GeneratorOptions(int maxSequences, int prefillRows, boolean promptSkip) {

    /** Checks the ranges. */
    public GeneratorOptions {
        if (maxSequences < 1) {
            throw new IllegalArgumentException(
                    "a generator for " + maxSequences + " sequences can generate nothing; it takes at least 1");
        }
        if (prefillRows < 1) {
            throw new IllegalArgumentException(
                    "a prefill of " + prefillRows + " tokens at a time never ends; it takes at least 1");
        }
    }

    /** For a batch of so many sequences. */
    public static GeneratorOptions forSequences(int maxSequences) {
        return new GeneratorOptions(maxSequences, 2048, true);
    }
}
