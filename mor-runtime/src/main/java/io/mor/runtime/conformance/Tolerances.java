package io.mor.runtime.conformance;

import io.mor.api.backend.Precision;

/**
 * The largest differences allowed, relative to the largest magnitude of a tensor.
 *
 * @param logits of logits
 * @param losses of losses
 * @param gradients of gradients
 */
record Tolerances(double logits, double losses, double gradients) {

    static Tolerances of(Precision precision, boolean unboundedGate) {
        return switch (precision) {
            case FLOAT64 -> new Tolerances(1e-9, 1e-9, 1e-9);
            case FLOAT32 -> new Tolerances(unboundedGate ? 3e-5 : 1e-5, 1e-6, 5e-5);
            // what an unbounded gate multiplies up has lost its digits: its gradients are those of another step
            case BFLOAT16 -> unboundedGate ? new Tolerances(5e-1, 2e-2, 2) : new Tolerances(5e-2, 2e-2, 2e-1);
        };
    }
}
