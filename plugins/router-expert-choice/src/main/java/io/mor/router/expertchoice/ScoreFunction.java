package io.mor.router.expertchoice;

/** What makes a gate of a router logit (spec 2.1). In configs in kebab case. */
public enum ScoreFunction {
    /** {@code alpha * sigmoid(z)}. */
    SIGMOID,
    /** {@code alpha * tanh(z)}. */
    TANH,
    /** The logit itself; alpha is not applied. */
    NONE
}
