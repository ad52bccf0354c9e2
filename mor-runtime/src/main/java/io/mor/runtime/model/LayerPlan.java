package io.mor.runtime.model;

import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Which physical layer stands at each effective layer (spec 1.1), and where layer counts had to give (spec 1.3).
 *
 * @param sharing the scheme
 * @param layers effective layers, after adjustment
 * @param recursions Nr
 * @param blockLayers layers of the shared block, b; in sequence schemes the number of one-layer blocks
 * @param map physical layer of each effective layer
 * @param picked which layers of a full model the effective layers stand for; all of them unless the count was adjusted
 * @param warning says what was adjusted
 */
public record LayerPlan(
        Sharing sharing,
        int layers,
        int recursions,
        int blockLayers,
        List<Integer> map,
        List<Integer> picked,
        Optional<String> warning) {

    /** Copies the lists. */
    public LayerPlan {
        map = List.copyOf(map);
        picked = List.copyOf(picked);
    }

    /** The plan of a configured model. */
    public static LayerPlan of(ModelConfig model) {
        return of(model.sharing(), model.layers(), model.recursions());
    }

    /**
     * The plan of a scheme.
     *
     * @throws IllegalArgumentException if there are too few layers for even one per recursion
     */
    public static LayerPlan of(Sharing sharing, int layers, int recursions) {
        if (sharing == Sharing.NONE) {
            return new LayerPlan(sharing, layers, 1, layers, range(0, layers), range(0, layers), Optional.empty());
        }
        int ends = sharing.isMiddle() ? 2 : 0;
        int block = (layers - ends) / recursions;
        if (block < 1) {
            throw new IllegalArgumentException("model.layers: " + layers + " layers are too few for " + recursions
                    + " recursions with sharing " + sharing + "; at least " + (ends + recursions) + " are needed");
        }
        int effective = ends + block * recursions;
        List<Integer> map = new ArrayList<>();
        for (int layer = 0; layer < effective; layer++) {
            map.add(physical(sharing, layer, effective, block, recursions));
        }
        if (effective == layers) {
            return new LayerPlan(sharing, layers, recursions, block, map, range(0, layers), Optional.empty());
        }
        List<Integer> picked = new ArrayList<>();
        if (sharing.isMiddle()) {
            picked.add(0);
            picked.addAll(roundedLinspace(1, layers - 2, block * recursions));
            picked.add(layers - 1);
        } else {
            picked.addAll(roundedLinspace(0, layers - 1, block * recursions));
        }
        String warning = "model.layers: " + layers + " layers do not divide over " + recursions
                + " recursions; the model has " + effective + " effective layers, picked from " + picked;
        return new LayerPlan(sharing, effective, recursions, block, map, picked, Optional.of(warning));
    }

    private static int physical(Sharing sharing, int layer, int layers, int block, int recursions) {
        return switch (sharing) {
            case NONE -> layer;
            case CYCLE -> layer % block;
            case SEQUENCE -> layer / recursions;
            case MIDDLE_CYCLE -> layer == 0 ? 0 : layer == layers - 1 ? block + 1 : (layer - 1) % block + 1;
            case MIDDLE_SEQUENCE -> layer == 0 ? 0 : layer == layers - 1 ? block + 1 : (layer - 1) / recursions + 1;
        };
    }

    /** Number of layers with parameters of their own. */
    public int physicalLayers() {
        return sharing == Sharing.NONE ? layers : blockLayers + (sharing.isMiddle() ? 2 : 0);
    }

    /** {@code count} numbers from first to last at even distances, rounded half to even as the published code does. */
    public static List<Integer> roundedLinspace(int first, int last, int count) {
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            numbers.add((int) Math.rint(count == 1 ? first : first + i * (double) (last - first) / (count - 1)));
        }
        return numbers;
    }

    private static List<Integer> range(int from, int to) {
        List<Integer> numbers = new ArrayList<>();
        for (int i = from; i < to; i++) {
            numbers.add(i);
        }
        return numbers;
    }
}
