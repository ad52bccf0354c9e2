package io.mor.block.llama;

/** How each recursion's linears may differ from the shared ones. In configs in kebab case. */
public enum Adapter {
    /** Not at all. */
    NONE,
    /** By a matrix of low rank (Hu et al., 2021). */
    LORA,
    /** By a matrix of low rank and, for each output, a length of its own (Liu et al., 2024). */
    DORA
}
