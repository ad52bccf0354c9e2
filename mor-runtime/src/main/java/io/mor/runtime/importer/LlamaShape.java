package io.mor.runtime.importer;

/**
 * The sizes of an imported Llama model.
 *
 * @param hidden width of the residual stream
 * @param ffn inner width of the feed-forward layers
 * @param layers number of layers
 * @param heads query heads
 * @param kvHeads key-value heads
 * @param vocabulary number of token ids
 * @param context positions
 * @param tied whether the head is the embedding
 * @param normEpsilon of RMSNorm
 * @param ropeTheta base of the rotary embedding
 */
public record LlamaShape(
        int hidden,
        int ffn,
        int layers,
        int heads,
        int kvHeads,
        int vocabulary,
        int context,
        boolean tied,
        double normEpsilon,
        double ropeTheta) {

    /** The sizes in words, for messages. */
    String inWords() {
        return "hidden " + hidden + ", ffn " + ffn + ", layers " + layers + ", heads " + heads + ", kv-heads " + kvHeads
                + ", vocabulary " + vocabulary + (tied ? "" : " untied") + ", context " + context;
    }

    /** Width of one head. */
    public int headWidth() {
        return hidden / heads;
    }

    /** Width of all keys, or all values, of a row. */
    public int kvWidth() {
        return kvHeads * headWidth();
    }
}
