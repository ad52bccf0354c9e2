package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * What a call is for.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum Phase {
    /** Gradients are wanted, losses count, buffers may change, selection sees the whole sequence. */
    TRAINING,
    /** Nothing changes; selection sees the whole sequence as in training. Not causal: for comparison with published evaluation only. */
    FULL_SEQUENCE_EVALUATION,
    /** Nothing changes; selection is causal. Prefill, decoding and honest evaluation. */
    CAUSAL
}
