/**
 * From text to batches: corpora, the built-in tokenizers, memory-mapped token shards and the samplers that cut batches from them.
 *
 * <p>{@link io.mor.runtime.data.Corpora} names a corpus, {@link io.mor.runtime.data.TokenShard} tokenises it once, {@link
 * io.mor.runtime.data.BatchSampler} gives micro-batch number {@code n} as a pure function of {@code n}, so that a data position is a
 * number.
 */
package io.mor.runtime.data;
