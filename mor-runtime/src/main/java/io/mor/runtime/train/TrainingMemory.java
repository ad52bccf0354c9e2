package io.mor.runtime.train;

/**
 * The bytes that a training step holds in the backend's memory, known before it starts. What evaluation takes for a while comes on top.
 *
 * @param weights parameters and buffers
 * @param gradients of the parameters
 * @param optimizer moments
 * @param activations of a micro-batch, placed so that tensors that are never in use at once share memory
 * @param activationsWithoutReuse if each had memory of its own
 * @param backend what the backend holds by itself: copies of weights in its own format, working memory of kernels
 */
public record TrainingMemory(
        long weights, long gradients, long optimizer, long activations, long activationsWithoutReuse, long backend) {

    /** What is not allocated yet when a run is ready to start. */
    public long toCome() {
        return activations + backend;
    }

    /** All of it. */
    public long total() {
        return weights + gradients + optimizer + activations + backend;
    }
}
