package io.mor.runtime.generate;

/**
 * A new token, as it is streamed.
 *
 * @param sequence which request of the batch, from 0
 * @param index which new token of that request, from 0
 * @param id its id
 * @param text what can be shown by now: complete characters that cannot become part of a stop string any more; may be empty, or hold what
 *     earlier tokens began. Always empty without a tokenizer
 * @param depth recursions run to produce it: those of the row before it, see {@link GenerationResult#depths}
 */
public record GeneratedToken(int sequence, int index, int id, String text, int depth) {}
