package io.mor.runtime.tape;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.Region;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The gradients of one backward pass. Those of parameters are given; unless they are said to hold nothing, they are added to. Those of activations
 * are made as they are needed.
 */
final class Gradients {

    /** Adds to a gradient, or sets it when it holds nothing yet. */
    @FunctionalInterface
    interface Contribution {
        void into(Tensor gradient, boolean accumulate);
    }

    /** Adds to two gradients, or sets both. */
    @FunctionalInterface
    interface PairContribution {
        void into(Tensor first, Tensor second, boolean accumulate);
    }

    /** Adds to some gradients, or sets all of them. */
    @FunctionalInterface
    interface ManyContribution {
        void into(List<Optional<Tensor>> gradients, boolean accumulate);
    }

    private static final class Entry {
        Tensor tensor;
        boolean written;
    }

    private final Backend backend;
    private final Region region;
    private final Map<Tensor, Entry> entries = new IdentityHashMap<>();
    private final Map<Tensor, Tensor> parameterGradients;
    private final Set<Tensor> empty = Collections.newSetFromMap(new IdentityHashMap<>()); // parameters

    /**
     * Gradients of a pass.
     *
     * @param areEmpty whether parameters' gradients hold nothing yet, so that the first contribution sets them
     */
    Gradients(Backend backend, Region region, Map<Tensor, Tensor> parameterGradients, boolean areEmpty) {
        this.backend = backend;
        this.region = region;
        this.parameterGradients = parameterGradients;
        if (areEmpty) {
            empty.addAll(parameterGradients.keySet());
        }
    }

    /** Ends the pass: gradients of parameters to which nothing has contributed become zero. */
    void finish() {
        empty.forEach(parameter -> backend.fill(parameterGradients.get(parameter), 0));
        empty.clear();
    }

    boolean isParameter(Tensor tensor) {
        return parameterGradients.containsKey(tensor);
    }

    /** The gradient of a tensor, if anything has contributed to it. */
    Optional<Tensor> of(Tensor tensor) {
        Tensor parameter = parameterGradients.get(tensor);
        if (parameter != null) {
            return empty.contains(tensor) ? Optional.empty() : Optional.of(parameter);
        }
        Entry entry = entries.get(tensor);
        return entry != null && entry.written ? Optional.of(entry.tensor) : Optional.empty();
    }

    /** Lets a kernel that can both set and add contribute. */
    void contribute(Tensor tensor, Contribution contribution) {
        Tensor parameter = parameterGradients.get(tensor);
        if (parameter != null) {
            contribution.into(parameter, !empty.remove(tensor));
            return;
        }
        Entry entry = entries.computeIfAbsent(tensor, key -> new Entry());
        if (entry.tensor == null) {
            entry.tensor = region.allocateActivation(tensor.extent(), tensor.columns());
        }
        contribution.into(entry.tensor, entry.written);
        entry.written = true;
    }

    /** Lets a kernel contribute that sets two gradients or adds to both. */
    void contribute(Tensor first, Tensor second, PairContribution contribution) {
        if (first == second || of(first).isPresent() || of(second).isPresent()) {
            contribution.into(added(first), added(second), true);
        } else {
            contribute(first, (a, add) -> contribute(second, (b, same) -> contribution.into(a, b, add)));
        }
    }

    /** Lets a kernel contribute that sets the gradients of several parameters or adds to all. Empty where no gradient is wanted. */
    void contributeToParameters(List<Optional<Tensor>> parameters, ManyContribution contribution) {
        List<Tensor> wanted =
                parameters.stream().flatMap(Optional::stream).distinct().toList();
        boolean sets = empty.containsAll(wanted)
                && wanted.size()
                        == parameters.stream().filter(Optional::isPresent).count();
        List<Optional<Tensor>> targets = new ArrayList<>();
        for (Optional<Tensor> parameter : parameters) {
            targets.add(parameter.map(each -> sets ? parameterGradients.get(each) : added(each)));
        }
        contribution.into(targets, !sets);
        wanted.forEach(empty::remove);
    }

    /** The gradient for a kernel that can only add: zero if nothing has contributed yet. */
    Tensor added(Tensor tensor) {
        contribute(tensor, (gradient, accumulate) -> {
            if (!accumulate) {
                backend.fill(gradient, 0);
            }
        });
        return of(tensor).orElseThrow();
    }

    /** Adds {@code gradient}. */
    void add(Tensor tensor, Tensor gradient) {
        contribute(tensor, (into, accumulate) -> {
            if (accumulate) {
                backend.add(into, into, gradient, 1);
            } else {
                backend.copy(into, gradient);
            }
        });
    }

    /** Adds {@code gradient}, whose owner no longer needs it, so that it may become this tensor's own. */
    void handOver(Tensor tensor, Tensor gradient) {
        if (!isParameter(tensor) && !entries.containsKey(tensor)) {
            Entry entry = new Entry();
            entry.tensor = gradient;
            entry.written = true;
            entries.put(tensor, entry);
        } else {
            add(tensor, gradient);
        }
    }
}
