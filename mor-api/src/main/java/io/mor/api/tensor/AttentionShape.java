package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * The heads of an attention.
 *
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim width of a head, even
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record AttentionShape(int heads, int kvHeads, int headDim) {

    /** Checks that the heads divide. */
    public AttentionShape {
        if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0) {
            throw new IllegalArgumentException(heads + " heads cannot share " + kvHeads + " key-value heads evenly");
        }
        if (headDim < 2 || headDim % 2 != 0) {
            throw new IllegalArgumentException("a head width of " + headDim + " is not even");
        }
    }

    /** Columns of the queries. */
    public int queryWidth() {
        return heads * headDim;
    }

    /** Columns of the keys and of the values. */
    public int kvWidth() {
        return kvHeads * headDim;
    }
}
