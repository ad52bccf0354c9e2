package io.mor.api.model;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.AttentionShape;

/**
 * The sizes that every part of a model agrees on.
 *
 * @param vocabulary number of token ids
 * @param hidden width of the residual stream
 * @param attention heads
 * @param ffn inner width of the feed-forward layers
 * @param context largest number of positions
 * @param recursions times the shared block is applied at most; 1 in a vanilla model
 * @param layerNormShared whether the norms of a layer are shared over the recursions (spec 1.2)
 * @param normEpsilon of RMSNorm
 * @param ropeTheta base of the rotary embedding
 * @param dropout probability, after attention and after the feed-forward layers, in training
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record ModelShape(
        int vocabulary,
        int hidden,
        AttentionShape attention,
        int ffn,
        int context,
        int recursions,
        boolean layerNormShared,
        double normEpsilon,
        double ropeTheta,
        double dropout) {}
