package io.mor.cli;

import io.mor.runtime.UsageException;

/** The option {@code --batches}. */
final class Batches {

    private Batches() {}

    static int checked(int batches) {
        if (batches < 0) {
            throw new UsageException(
                    "--batches: " + batches + " is negative; give a number of batches, or 0 for all validation text");
        }
        return batches;
    }
}
