package io.mor.runtime.evaluate;

import io.mor.api.tensor.Tensor;
import io.mor.runtime.model.ModelCall;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Means over calls of what a router reports: losses, which add up within a call, and metrics, of which each value counts. */
final class RouterFigures {

    private static final class Mean {
        private double sum;
        private long count;

        void add(double value) {
            sum += value;
            count++;
        }
    }

    private final Map<String, Mean> figures = new LinkedHashMap<>();

    /** Takes a call's figures; before its region is closed. */
    void add(ModelCall call) {
        call.losses()
                .forEach((name, terms) -> figure(name)
                        .add(terms.stream()
                                .mapToDouble(term -> call.backend().readDoubles(term)[0])
                                .sum()));
        call.metrics().forEach((name, values) -> add(call, name, values));
    }

    private void add(ModelCall call, String name, List<Tensor> values) {
        for (Tensor value : values) {
            double[] numbers = call.backend().readDoubles(value);
            for (int i = 0; i < numbers.length; i++) {
                figure(numbers.length == 1 ? name : name + "-" + (i + 1)).add(numbers[i]);
            }
        }
    }

    private Mean figure(String name) {
        return figures.computeIfAbsent(name, key -> new Mean());
    }

    /** The means by name, in the order in which the names first came. */
    Map<String, Double> means() {
        Map<String, Double> means = new LinkedHashMap<>();
        figures.forEach((name, mean) -> means.put(name, mean.sum / mean.count));
        return means;
    }
}
