package io.mor.runtime.train;

/**
 * Where a run stands: everything that is not a tensor. Random numbers and data positions are functions of these counters.
 *
 * @param step optimizer steps done
 * @param microBatch micro-batches done
 * @param seed the run's seed
 * @param tokens tokens trained on
 */
public record TrainingState(long step, long microBatch, long seed, long tokens) {}
