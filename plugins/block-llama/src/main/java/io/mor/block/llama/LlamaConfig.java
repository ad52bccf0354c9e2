package io.mor.block.llama;

import io.mor.api.plugin.Help;

/**
 * How Llama layers are configured.
 *
 * @param relaxation what may differ from recursion to recursion
 */
public record LlamaConfig(
        @Help("what may differ from recursion to recursion") RelaxationConfig relaxation) {

    /** Layers that are the same in every recursion. */
    public static final LlamaConfig PLAIN = new LlamaConfig(RelaxationConfig.NONE);
}
