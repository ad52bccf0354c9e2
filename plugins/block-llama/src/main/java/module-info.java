/**
 * The recursion block of the paper: pre-norm Llama layers (RMSNorm, RoPE, grouped-query attention, SwiGLU, no biases).
 *
 * <p>Exports {@code io.mor.block.llama} so that the runtime can make its classes; opens nothing.
 */
module io.mor.block.llama {
    requires io.mor.api;

    exports io.mor.block.llama;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.block.llama.LlamaBlockPlugin;
}
