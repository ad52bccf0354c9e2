package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * Element-wise functions of one argument, each with its derivative known to every backend.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum Unary {
    /** {@code 1 / (1 + exp(-x))}. */
    SIGMOID,
    /** {@code tanh(x)}. */
    TANH,
    /** {@code x * sigmoid(x)}. */
    SILU,
    /** {@code x/2 * (1 + erf(x / sqrt(2)))}, the exact form. */
    GELU,
    /** {@code exp(x)}. */
    EXP,
    /** {@code ln(x)}. */
    LOG,
    /** {@code x * x}. */
    SQUARE,
    /** The square root. */
    SQRT,
    /** {@code 1 / x}. */
    RECIPROCAL,
    /** {@code ln(1 + exp(x))}, without overflow. */
    SOFTPLUS
}
