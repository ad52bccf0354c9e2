package io.mor.runtime.experiment;

import io.mor.api.metric.MetricSink;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The metric sinks of a run. One that fails is named once and left out from then on; training goes on. */
final class Sinks implements AutoCloseable {

    private final Map<String, MetricSink> sinks;
    private final RunListener listener;

    Sinks(Map<String, MetricSink> sinks, MetricSink.Run run, RunListener listener) {
        this.sinks = new LinkedHashMap<>(sinks);
        this.listener = listener;
        forEach(sink -> sink.begin(run));
    }

    void record(long step, Map<String, Double> values) {
        forEach(sink -> sink.record(step, values));
    }

    @FunctionalInterface
    private interface SinkAction {
        void on(MetricSink sink) throws IOException;
    }

    private void forEach(SinkAction action) {
        for (String name : List.copyOf(sinks.keySet())) {
            try {
                action.on(sinks.get(name));
            } catch (IOException | RuntimeException e) {
                sinks.remove(name);
                listener.note("metrics: sink '" + name + "' failed and is left out from here on: " + e.getMessage());
            }
        }
    }

    @Override
    public void close() {
        forEach(MetricSink::close);
        sinks.clear();
    }
}
