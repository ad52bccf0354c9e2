package io.mor.runtime.flops;

/**
 * One visit of one layer, as an average over the tokens of a sequence.
 *
 * @param recursive whether it belongs to the part of the model that is repeated
 * @param recursion from 1
 * @param share part of all tokens that run it
 * @param projects whether it projects (and stores) keys and values
 * @param keys part of all tokens whose keys it reads
 * @param window 0: all earlier positions are seen; else so many at most
 */
public record LayerVisit(boolean recursive, int recursion, double share, boolean projects, double keys, int window) {

    /** Keys that a query sees on average in a causal sequence of {@code length} tokens, its own among them. */
    public double visibleKeys(int length) {
        double present = keys * length;
        if (window == 0 || window >= present) {
            return (present + 1) / 2;
        }
        return window - window * (window - 1.0) / (2 * present);
    }
}
