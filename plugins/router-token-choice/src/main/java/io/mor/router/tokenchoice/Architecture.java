package io.mor.router.tokenchoice;

/** The network that turns a row into router logits (spec 2.2). No biases; the activation is the exact GELU. In configs in kebab case. */
public enum Architecture {
    /** One matrix: {@code hidden -> out}. */
    LINEAR(0),
    /** {@code hidden -> 2 hidden -> out}. */
    MLP(2),
    /** {@code hidden -> 4 hidden -> out}. */
    WIDE_MLP(4);

    private final int expansion;

    Architecture(int expansion) {
        this.expansion = expansion;
    }

    /** Inner width as a multiple of the hidden width; 0 if there is no inner layer. */
    int expansion() {
        return expansion;
    }
}
