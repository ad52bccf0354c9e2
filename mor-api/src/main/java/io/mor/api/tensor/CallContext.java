package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * What an extension is given for the length of one call of the model. It is valid during that call, on the calling thread only.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface CallContext {

    /** The operations; in {@link Phase#TRAINING} they are differentiated. */
    Ops ops();

    /** What the call is for. */
    Phase phase();

    /** The values of a parameter that this extension declared: {@code [parameter.rows, parameter.columns]}. */
    Tensor value(Parameter parameter);

    /** The values of a buffer that this extension declared. */
    Tensor value(StateBuffer buffer);

    /**
     * Sets a buffer to new values of the same shape, without gradient.
     *
     * @throws IllegalStateException outside training
     */
    void assign(StateBuffer buffer, Tensor values);

    /**
     * Adds {@code coefficient * value} to the total loss and reports {@code value} as {@code name}. Values of one name add up, so a loss per
     * recursion is the sum over recursions. Ignored as a loss, but reported, outside training.
     *
     * @param name kebab-case, for example {@code sampling-loss}
     * @param value {@code [1, 1]}
     * @param coefficient its weight; with 0 it is only reported
     */
    void loss(String name, Tensor value, double coefficient);

    /**
     * Reports a figure; figures of one name are averaged over the calls between two reports.
     *
     * @param value {@code [1, 1]}, or {@code [1, n]} for a histogram
     */
    void metric(String name, Tensor value);

    /** The optimizer step being worked on, from 0. */
    long step();

    /** The optimizer steps of the whole run. */
    long totalSteps();

    /** The micro-batch of the run being worked on, from 0; does not advance in evaluation. */
    long microBatch();

    /** Micro-batches per optimizer step. */
    int accumulation();

    /** A random stream of this extension for this micro-batch. */
    RandomKey random(String stream);
}
