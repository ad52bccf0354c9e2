package io.mor.block.llama;

/** The linears of a layer. In configs in kebab case. */
public enum Projection {
    /** Queries. */
    Q,
    /** Keys. */
    K,
    /** Values. */
    V,
    /** The attention's output. */
    O,
    /** The feed-forward's gate. */
    GATE,
    /** The feed-forward's inner values. */
    UP,
    /** The feed-forward's output. */
    DOWN
}
