package io.mor.runtime.tape;

/** What the tape calculates again on the way back instead of keeping it, each the same bits. In configs in kebab case. */
public enum Recomputation {
    /** Nothing: the most memory, the least work. */
    NONE,
    /** What norms and gated units hand on to products: cheap beside the products, and about a third of what a layer keeps. */
    NORMS_AND_GATES,
    /** Layers as a whole: what each begins with is kept, and it runs once more on the way back. The least memory, a third more work. */
    LAYERS
}
