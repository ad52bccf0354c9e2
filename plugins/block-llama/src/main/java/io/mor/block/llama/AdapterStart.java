package io.mor.block.llama;

/** Where adapters start from. In configs in kebab case. */
public enum AdapterStart {
    /** From a difference of zero. */
    ZERO,
    /**
     * When a model starts from a trained full one: from the best approximation of what each recursion's own layer had and the shared one lacks, by
     * singular value decomposition. Else as {@link #ZERO}.
     */
    SVD
}
