package io.mor.runtime.model;

import io.mor.api.tensor.RandomKey;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.Sharing;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which layers of a full model each physical layer starts from (spec 1.4): one, or several to be averaged. Works for a full model that is
 * only imagined (a fresh one, drawn by name) as for one that was trained.
 */
public final class LayerSources {

    private static final Pattern LAYER_NAME = Pattern.compile("layers\\.(\\d+)\\.(.*)");

    private final List<List<Integer>> sources;

    private LayerSources(List<List<Integer>> sources) {
        this.sources = sources;
    }

    /**
     * The sources for a plan.
     *
     * @param fullLayers layers of the full model, at least as many as the plan has physical ones
     */
    public static LayerSources of(LayerPlan plan, Initialization initialization, int fullLayers, long seed) {
        List<List<Integer>> sources = new ArrayList<>();
        int block = plan.blockLayers();
        boolean middle = plan.sharing().isMiddle();
        if (plan.sharing() == Sharing.NONE) {
            for (int layer = 0; layer < plan.layers(); layer++) {
                sources.add(List.of(layer));
            }
            return new LayerSources(sources);
        }
        int first = middle ? 1 : 0;
        int last = middle ? fullLayers - 2 : fullLayers - 1;
        List<Integer> picked = switch (initialization) {
            case STEPWISE -> LayerPlan.roundedLinspace(first, last, block);
            case LOWER -> consecutive(first, block);
            case UPPER -> consecutive(last - block + 1, block);
            case RANDOM -> sample(first, last, block, seed);
            case AVERAGE -> List.of();
        };
        for (int physical = 0; physical < plan.physicalLayers(); physical++) {
            if (middle && physical == 0) {
                sources.add(List.of(0));
            } else if (middle && physical == plan.physicalLayers() - 1) {
                sources.add(List.of(fullLayers - 1));
            } else if (initialization == Initialization.AVERAGE) {
                sources.add(tied(plan, physical, fullLayers));
            } else {
                sources.add(List.of(picked.get(physical - first)));
            }
        }
        return new LayerSources(sources);
    }

    /** Every physical layer from the layer of the same number. */
    static LayerSources same(LayerPlan plan) {
        return new LayerSources(
                consecutive(0, plan.physicalLayers()).stream().map(List::of).toList());
    }

    /**
     * The layers of a full model in whose places a physical layer stands, in the order of its visits.
     *
     * @param fullLayers layers of the full model: those that the plan was made for, or another number that its block divides
     * @throws IllegalArgumentException if it does not
     */
    static List<Integer> tied(LayerPlan plan, int physical, int fullLayers) {
        boolean own = plan.picked().getLast() == fullLayers - 1;
        int ends = plan.sharing().isMiddle() ? 2 : 0;
        if (!own && (fullLayers - ends) % plan.blockLayers() != 0) {
            throw new IllegalArgumentException("model.initialization: a full model of " + fullLayers
                    + " layers does not divide into groups for " + plan.blockLayers()
                    + " shared ones; choose stepwise, lower or upper, or another model.layers");
        }
        LayerPlan all = own ? plan : LayerPlan.of(plan.sharing(), fullLayers, (fullLayers - ends) / plan.blockLayers());
        List<Integer> tied = new ArrayList<>();
        for (int layer = 0; layer < all.layers(); layer++) {
            if (all.map().get(layer) == physical) {
                tied.add(all.picked().get(layer));
            }
        }
        return tied;
    }

    private static List<Integer> consecutive(int first, int count) {
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            numbers.add(first + i);
        }
        return numbers;
    }

    /** A sorted sample without replacement: the {@code count} numbers with the smallest random keys. */
    private static List<Integer> sample(int first, int last, int count, long seed) {
        RandomKey key = RandomKey.of(seed, "layer sample", 0);
        return consecutive(first, last - first + 1).stream()
                .sorted(Comparator.comparingDouble(layer -> key.uniform(0, layer)))
                .limit(count)
                .sorted()
                .toList();
    }

    /** The full model's layers that a physical layer starts from. */
    public List<Integer> of(int physicalLayer) {
        return sources.get(physicalLayer);
    }

    /** The full model's parameters that a parameter starts from; itself if it belongs to no layer. */
    public List<String> of(String parameter) {
        Matcher matcher = LAYER_NAME.matcher(parameter);
        if (!matcher.matches()) {
            return List.of(parameter);
        }
        String rest = matcher.group(2);
        return of(Integer.parseInt(matcher.group(1))).stream()
                .map(layer -> "layers." + layer + "." + rest)
                .toList();
    }
}
