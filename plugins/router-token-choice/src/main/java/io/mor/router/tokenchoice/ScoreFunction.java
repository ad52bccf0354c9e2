package io.mor.router.tokenchoice;

/** What makes probabilities of a token's depths of the router's logits (spec 3.1). In configs in kebab case. */
public enum ScoreFunction {
    /** {@code alpha * softmax(z)}. */
    SOFTMAX,
    /** {@code alpha * sigmoid(z)}, every depth by itself. */
    SIGMOID
}
