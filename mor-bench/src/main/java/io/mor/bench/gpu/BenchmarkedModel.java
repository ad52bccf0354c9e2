package io.mor.bench.gpu;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.cache.KvCache;
import io.mor.api.model.ModelShape;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.flops.LayerVisits;
import io.mor.runtime.flops.ModelFlops;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.Map;
import java.util.Optional;

/** A model of the paper's sizes with random weights, made as an experiment's config would make it. */
final class BenchmarkedModel {

    private static final long SEED = 17;

    private final ModelConfig config;
    private final MorModel model;
    private final KvCache cache;
    private final Optional<Router> router;

    /**
     * @param preset of its sizes, for example {@code smollm-360m}
     * @param recursions of a middle cycle with expert choice; 1 for a vanilla model
     */
    BenchmarkedModel(PluginCatalog catalog, ExtensionFactory factory, String preset, int recursions) {
        var builder = ExperimentConfig.builder().with("model.preset", preset);
        if (recursions > 1) {
            builder = builder.with("model.sharing", "middle-cycle")
                    .with("model.recursions", recursions)
                    .with("router.type", "expert-choice")
                    .with("kv-cache.type", "recursion-wise");
        }
        ExperimentConfig experiment = builder.build(catalog);
        this.config = experiment.model().shape();
        this.cache = make(factory, ExtensionKind.KV_CACHE, experiment.kvCache(), Map.of());
        boolean isRouted = recursions > 1;
        ModelParts parts = new ModelParts(
                (shape, placement) -> make(
                        factory,
                        ExtensionKind.RECURSION_BLOCK,
                        experiment.model().block(),
                        Map.of(ModelShape.class, shape, BlockPlacement.class, placement)),
                isRouted
                        ? Optional.of(shape -> BenchmarkedModel.<Router>make(
                                factory, ExtensionKind.ROUTER, experiment.router(), Map.of(ModelShape.class, shape)))
                        : Optional.empty(),
                cache,
                isRouted
                        ? Optional.of(shape -> BenchmarkedModel.<Selector>make(
                                factory,
                                ExtensionKind.SELECTOR,
                                experiment.selector(),
                                Map.of(ModelShape.class, shape)))
                        : Optional.empty());
        this.model = new MorModel(config, parts);
        this.router = isRouted ? Optional.of(model.router()) : Optional.empty();
    }

    private static <T> T make(
            ExtensionFactory factory, ExtensionKind kind, ExtensionConfig config, Map<Class<?>, Object> bindings) {
        return factory.create(kind, config.type(), config.options(), bindings);
    }

    MorModel model() {
        return model;
    }

    ModelConfig config() {
        return config;
    }

    /** FLOPs of the products that training does, per token. */
    double trainingFlops(int length) {
        return ModelFlops.of(config, LayerVisits.of(config, cache, router), length, config.vocabulary())
                .training();
    }

    /** FLOPs of the attention's products alone, forward, per token. */
    double attentionFlops(int length) {
        return ModelFlops.of(config, LayerVisits.of(config, cache, router), length, config.vocabulary())
                .attention();
    }

    /** Weights drawn on the device, which takes milliseconds where drawing as in training takes a minute. */
    Weights weights(Backend backend) {
        Weights weights = new Weights(backend, model.statefulParts());
        for (Parameter parameter : weights.parameters()) {
            Tensor value = weights.value(parameter);
            if (parameter.initializer() instanceof Initializer.Constant constant) {
                backend.fill(value, constant.value());
            } else {
                double width = 2 * Math.sqrt(3) * config.initializerRange(); // uniform of the same deviation
                backend.uniform(value, RandomKey.of(SEED, parameter.name(), 0));
                backend.affine(value, value, width, -width / 2, false);
            }
        }
        return weights;
    }
}
