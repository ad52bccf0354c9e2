package io.mor.api.metric;

import io.mor.api.plugin.Stability;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Where a run's figures go. Never called inside a training step. A sink that fails must not stop training: throw, and the run says so once
 * and goes on without it. Thread safety: one thread.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface MetricSink extends AutoCloseable {

    /**
     * Called once before the first figures.
     *
     * @param run where the run is and how it was configured
     */
    default void begin(Run run) throws IOException {}

    /**
     * Figures of one optimizer step.
     *
     * @param step from 0
     * @param values by kebab-case name, in a stable order
     */
    void record(long step, Map<String, Double> values) throws IOException;

    @Override
    default void close() throws IOException {}

    /**
     * A run.
     *
     * @param name its name
     * @param folder its folder
     * @param config the resolved config, key path to value
     * @param firstStep the step it begins or goes on with; what a sink holds of this run from that step on is from steps that were lost
     */
    record Run(String name, Path folder, Map<String, String> config, long firstStep) {}
}
