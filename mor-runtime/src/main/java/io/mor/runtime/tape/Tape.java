package io.mor.runtime.tape;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.Region;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/** What was done on the way forward, and how gradients flow back through it. One thread, one call. */
final class Tape {

    final Backend backend;
    final Region region;
    private final Recomputation recomputation;
    final Gradients gradients;
    private final Set<Tensor> tracked = Collections.newSetFromMap(new IdentityHashMap<>());
    private final List<Runnable> steps = new ArrayList<>();
    private Optional<List<Tensor>> results = Optional.empty(); // of the layer that runs, if anyone asks
    private int layersBegun;

    Tape(
            Region region,
            Map<Tensor, Tensor> parameterGradients,
            Recomputation recomputation,
            boolean gradientsAreEmpty) {
        this.backend = region.backend();
        this.region = region;
        this.recomputation = recomputation;
        this.gradients = new Gradients(backend, region, parameterGradients, gradientsAreEmpty);
        this.tracked.addAll(parameterGradients.keySet());
    }

    /** Records a step of the way back: what was recorded last runs first. */
    void add(Runnable step) {
        steps.add(step);
    }

    /** Records how the result's gradient flows back, if any input is tracked. */
    Tensor record(Tensor result, Consumer<Tensor> backward, Tensor... inputs) {
        boolean wanted = false;
        for (Tensor input : inputs) {
            wanted |= tracks(input);
        }
        if (wanted) {
            track(result);
            steps.add(() -> gradients.of(result).ifPresent(backward));
        }
        return result;
    }

    boolean tracks(Tensor x) {
        return tracked.contains(x);
    }

    void track(Tensor result) {
        tracked.add(result);
        results.ifPresent(all -> all.add(result));
    }

    /** Runs what was recorded, last first. */
    void runBackward() {
        for (int i = steps.size() - 1; i >= 0; i--) {
            steps.get(i).run();
            steps.set(i, null); // lets what the closure holds go
        }
        steps.clear();
        gradients.finish();
    }

    /** Runs a layer and tells all the results in it that want gradients, in their order. */
    private Layer watch(Tensor x, UnaryOperator<Tensor> layer) {
        Optional<List<Tensor>> outer = results;
        List<Tensor> own = new ArrayList<>();
        results = Optional.of(own);
        try {
            return new Layer(layer.apply(x), own);
        } finally {
            results = outer;
            outer.ifPresent(all -> all.addAll(own));
        }
    }

    /** The run of a recomputable layer that is under way, or what is outside of all: the same object as long as it is. */
    Object run() {
        return results.isPresent() ? results.get() : this;
    }

    /** What a layer made, and all that it made on the way. */
    private record Layer(Tensor out, List<Tensor> results) {}

    /** As {@link io.mor.api.tensor.Ops#recomputable}. */
    Tensor recomputable(Tensor x, UnaryOperator<Tensor> layer) {
        boolean covered = recomputation.covers(layersBegun);
        layersBegun++;
        if (recomputation.kind() != Recomputation.Kind.LAYERS || !covered || tracked.isEmpty()) {
            return layer.apply(x);
        }
        int begin = steps.size();
        Layer first = watch(x, layer);
        steps.subList(begin, steps.size()).clear();
        steps.add(() -> {
            // results of the first run that others used, such as keys and values, have gradients too
            if (first.results().stream().allMatch(result -> gradients.of(result).isEmpty())) {
                return;
            }
            int again = steps.size();
            Layer second = watch(x, layer);
            for (int i = 0; i < first.results().size(); i++) {
                Tensor result = second.results().get(i);
                gradients.of(first.results().get(i)).ifPresent(gradient -> gradients.handOver(result, gradient));
            }
            for (int i = steps.size() - 1; i >= again; i--) {
                steps.remove(i).run();
            }
        });
        return first.out();
    }

    /** Whether the layer that runs calculates norms and gated units again. */
    boolean calculatesNormsAndGatesAgain() {
        return recomputation.kind() == Recomputation.Kind.NORMS_AND_GATES
                && recomputation.covers(Math.max(0, layersBegun - 1));
    }

    /** Memory for the result of a layer. */
    Tensor result(Extent extent, int columns) {
        return region.allocateActivation(extent, columns);
    }

    /** Memory for the result of a layer, in the shape of another. */
    Tensor like(Tensor x) {
        return region.allocateActivation(x.extent(), x.columns());
    }

    /** For what is never kept in less than full precision: sums over rows, statistics. */
    Tensor full(Extent extent, int columns) {
        return region.allocate(extent, columns);
    }

    Tensor zeros(Tensor like) {
        Tensor zeros = full(like.extent(), like.columns());
        backend.fill(zeros, 0);
        return zeros;
    }
}
