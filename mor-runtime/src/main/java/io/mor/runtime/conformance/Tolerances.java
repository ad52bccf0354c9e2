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
            case BFLOAT16 -> new Tolerances(5e-2, 2e-2, 1e-1);
        };
    }
}
