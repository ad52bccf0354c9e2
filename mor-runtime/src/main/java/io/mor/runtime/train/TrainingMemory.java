package io.mor.runtime.train;

/**
 * The bytes that a training step holds in the backend's memory, known before it starts. What kernels use within themselves and what evaluation
 * takes for a while come on top.
 *
 * @param weights parameters and buffers
 * @param gradients of the parameters
 * @param optimizer moments
 * @param activations of a micro-batch, placed so that tensors that are never in use at once share memory
 * @param activationsWithoutReuse if each had memory of its own
 */
public record TrainingMemory(
        long weights, long gradients, long optimizer, long activations, long activationsWithoutReuse) {

    /** All of it. */
    public long total() {
        return weights + gradients + optimizer + activations;
    }
}
