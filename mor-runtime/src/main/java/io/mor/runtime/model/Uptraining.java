package io.mor.runtime.model;

import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.Parameter;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.Sharing;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Starts a model from the weights of a trained one (spec 1.4): of a full model, each shared layer from the layers that the initialisation rule
 * picks; of one with the same sharing, each from its own. What the other has not, a router say, starts fresh. One thread.
 */
public final class Uptraining {

    /** The weights of a trained model. */
    public interface Source {
        /** The values of a parameter, row-major; empty if it has none of that name. */
        Optional<double[]> values(String parameter);
    }

    private static final Pattern LAYER = Pattern.compile("layers\\.(\\d+)\\.");

    private final Weights weights;
    private final LayerPlan plan;
    private final LayerPlan fullPlan;
    private final LayerSources sources;
    private final Source source;
    private final Map<String, LowRank> residuals = new HashMap<>();

    private Uptraining(Weights weights, LayerPlan plan, LayerPlan fullPlan, LayerSources sources, Source source) {
        this.weights = weights;
        this.plan = plan;
        this.fullPlan = fullPlan;
        this.sources = sources;
        this.source = source;
    }

    /**
     * Sets the weights that the other model has; to be called after {@link Weights#initialize}.
     *
     * @param from the other model's layers
     * @return names of the parameters that stay fresh
     * @throws UsageException if the other model is of another shape, or shares its layers in another way
     */
    public static List<String> start(
            MorModel model, Weights weights, LayerPlan from, Initialization initialization, long seed, Source source) {
        LayerPlan plan = model.plan();
        try {
            return new Uptraining(weights, plan, from, sources(plan, from, initialization, seed), source).run();
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private static LayerSources sources(LayerPlan plan, LayerPlan from, Initialization initialization, long seed) {
        boolean same = from.sharing() == plan.sharing()
                && from.blockLayers() == plan.blockLayers()
                && from.physicalLayers() == plan.physicalLayers();
        if (same) {
            return LayerSources.same(plan);
        }
        if (from.sharing() != Sharing.NONE) {
            throw new IllegalArgumentException("model.start-from: that model shares its layers (" + from.sharing()
                    + ", "
                    + from.physicalLayers() + " of its own) in another way than this one (" + plan.sharing() + ", "
                    + plan.physicalLayers() + "); start from a full model or from one of the same sharing");
        }
        if (plan.sharing() == Sharing.NONE || from.layers() < plan.physicalLayers()) {
            throw new IllegalArgumentException("model.start-from: that model has " + from.layers()
                    + " layers and this one needs " + plan.physicalLayers()
                    + "; to keep fewer of them set model.sharing to cycle with model.recursions 1");
        }
        return LayerSources.of(plan, initialization, from.layers(), seed);
    }

    private List<String> run() {
        List<String> fresh = new ArrayList<>();
        List<Parameter> last = new ArrayList<>();
        for (Parameter parameter : weights.parameters()) {
            if (parameter.initializer() instanceof Initializer.ResidualFactor
                    || parameter.initializer() instanceof Initializer.RowNorms) {
                last.add(parameter);
                continue;
            }
            Optional<double[]> values = averaged(parameter);
            values.ifPresent(found -> weights.backend().write(weights.value(parameter), found));
            if (values.isEmpty()) {
                fresh.add(parameter.name());
            }
        }
        for (Parameter parameter : last) {
            Optional<double[]> there = fullPlan.sharing() == Sharing.NONE
                    ? Optional.empty()
                    : source.values(parameter.name()).filter(values -> values.length == size(parameter));
            weights.backend().write(weights.value(parameter), there.orElseGet(() -> derived(parameter)));
        }
        return fresh;
    }

    private Optional<double[]> averaged(Parameter parameter) {
        double[] sum = new double[size(parameter)];
        List<String> names = sources.of(parameter.name());
        for (String name : names) {
            Optional<double[]> found = source.values(name);
            if (found.isEmpty() && name.equals("lm_head.weight")) {
                found = source.values("embed.weight"); // its head is its embedding
            }
            if (found.isEmpty()) {
                return Optional.empty();
            }
            double[] values = fitted(parameter, name, found.get());
            for (int i = 0; i < sum.length; i++) {
                sum[i] += values[i] / names.size();
            }
        }
        return Optional.of(sum);
    }

    /** Norms of their own in each recursion all start from the one that the other model has (spec 1.2). */
    private static double[] fitted(Parameter parameter, String name, double[] values) {
        if (values.length == size(parameter)) {
            return values;
        }
        if (values.length != parameter.columns()) {
            throw new IllegalArgumentException("model.start-from: " + name + " has " + values.length
                    + " values there, and this model wants " + size(parameter) + " (" + parameter.rows() + " x "
                    + parameter.columns() + "); model.hidden, heads, kv-heads, ffn and vocabulary must be the same");
        }
        double[] repeated = new double[size(parameter)];
        for (int i = 0; i < repeated.length; i++) {
            repeated[i] = values[i % values.length];
        }
        return repeated;
    }

    private static int size(Parameter parameter) {
        return Math.multiplyExact(parameter.rows(), parameter.columns());
    }

    private double[] derived(Parameter parameter) {
        return switch (parameter.initializer()) {
            case Initializer.ResidualFactor factor -> {
                LowRank residual =
                        residuals.computeIfAbsent(factor.of() + " " + factor.visit(), key -> residual(factor));
                double[] values = factor.side() == Initializer.Side.LEFT ? residual.left() : residual.right();
                double[] scaled = new double[values.length];
                for (int i = 0; i < scaled.length; i++) {
                    scaled[i] = factor.scale() * values[i];
                }
                yield scaled;
            }
            case Initializer.RowNorms norms -> {
                Parameter of = named(norms.of());
                double[] matrix = norms.visit() == 0
                        ? weights.backend().readDoubles(weights.value(of))
                        : inPlaceOf(of, norms.visit());
                yield Weights.rowNorms(matrix, of.rows());
            }
            default -> throw new IllegalStateException(parameter.name());
        };
    }

    /** What the full model's layer has and the shared one lacks. */
    private LowRank residual(Initializer.ResidualFactor factor) {
        Parameter of = named(factor.of());
        double[] full = inPlaceOf(of, factor.visit());
        double[] shared = weights.backend().readDoubles(weights.value(of));
        double[] difference = new double[full.length];
        for (int i = 0; i < difference.length; i++) {
            difference[i] = full[i] - shared[i];
        }
        return LowRank.of(difference, of.rows(), of.columns(), factor.rank());
    }

    private Parameter named(String name) {
        return weights.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no parameter " + name));
    }

    /** The weights of the full model's layer that a recursion of a shared one replaces. */
    private double[] inPlaceOf(Parameter shared, int recursion) {
        Matcher matcher = LAYER.matcher(shared.name());
        if (!matcher.find() || fullPlan.sharing() != Sharing.NONE) {
            return weights.backend().readDoubles(weights.value(shared));
        }
        List<Integer> tied = LayerSources.tied(plan, Integer.parseInt(matcher.group(1)), fullPlan.layers());
        String name = matcher.replaceFirst("layers." + tied.get(recursion - 1) + ".");
        double[] values = source.values(name)
                .orElseThrow(() -> new IllegalArgumentException("model.start-from: that model has no " + name));
        return fitted(shared, name, values);
    }
}
