package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;

/**
 * What a router remembers of each row from recursion to recursion: named tensors with one row per row of the batch. The runtime carries
 * them along: it gathers them when rows are selected and, in generation, keeps them between calls. A router has no other memory.
 *
 * @param columns the tensors by name; every recursion has the same names and widths
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record RoutingState(Map<String, Tensor> columns) {

    /** Nothing to remember. */
    public static final RoutingState NONE = new RoutingState(Map.of());

    /** Copies the map, in its order. */
    public RoutingState {
        columns = Collections.unmodifiableMap(new LinkedHashMap<>(columns));
    }

    /** This and one more. */
    public RoutingState with(String name, Tensor values) {
        Map<String, Tensor> all = new LinkedHashMap<>(columns);
        all.put(name, values);
        return new RoutingState(all);
    }

    /**
     * The tensor of a name.
     *
     * @throws NoSuchElementException if there is none, listing those there are
     */
    public Tensor get(String name) {
        Tensor values = columns.get(name);
        if (values == null) {
            throw new NoSuchElementException("no routing state '" + name + "'; there are " + columns.keySet());
        }
        return values;
    }
}
