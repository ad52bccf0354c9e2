package io.mor.runtime.data;

/**
 * Rows of inputs, and for each input the token that follows it.
 *
 * @param rows number of rows
 * @param context tokens of each row
 * @param inputs {@code [rows, context]}
 * @param targets {@code [rows, context]}; target t is input t + 1 of the text
 */
public record Batch(int rows, int context, int[] inputs, int[] targets) {

    /** Checks the lengths. */
    public Batch {
        if (inputs.length != rows * context || targets.length != rows * context) {
            throw new IllegalArgumentException("a batch of " + rows + " x " + context
                    + " needs as many inputs and targets, not " + inputs.length + " and " + targets.length);
        }
    }
}
