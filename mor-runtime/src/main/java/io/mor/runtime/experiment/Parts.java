package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.cache.KvCache;
import io.mor.api.data.Tokenizer;
import io.mor.api.model.ModelShape;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.conformance.Conformance;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.plugin.ExtensionFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;

/** Makes the parts of an experiment from its config through one extension factory. */
final class Parts {

    /** Backends in the order in which {@code auto} tries them. */
    private static final List<String> FASTEST_FIRST = List.of("cuda", "cpu", "reference");

    private final ExtensionFactory factory;

    Parts(ExtensionFactory factory) {
        this.factory = factory;
    }

    /**
     * The backend that a config names. {@code auto} takes the fastest that can be made here and says why a faster one could not.
     *
     * @param notes is told what was passed over
     */
    Backend backend(ExtensionConfig config, Consumer<String> notes) {
        if (!config.type().equals("auto")) {
            return factory.create(ExtensionKind.BACKEND, config.type(), config.options(), Map.of());
        }
        List<String> reasons = new ArrayList<>();
        for (String id : FASTEST_FIRST) {
            if (factory.catalog().find(ExtensionKind.BACKEND, id).isPresent()) {
                try {
                    Backend backend = factory.create(ExtensionKind.BACKEND, id, Map.of(), Map.of());
                    if (!reasons.isEmpty()) {
                        notes.accept("backend: auto takes " + id + "; " + String.join("; ", reasons));
                    }
                    return backend;
                } catch (UsageException wrong) {
                    throw wrong;
                } catch (MorException unavailable) {
                    reasons.add(id + " cannot be used: " + reason(unavailable));
                }
            }
        }
        throw new MorException("backend: auto found no backend; looked for " + FASTEST_FIRST + " in "
                + factory.catalog().searched() + (reasons.isEmpty() ? "" : "; " + String.join("; ", reasons)));
    }

    /** What the backend itself says. */
    private static String reason(MorException unavailable) {
        Throwable cause = unavailable.getCause();
        return cause == null || cause.getMessage() == null ? unavailable.getMessage() : cause.getMessage();
    }

    Tokenizer tokenizer(ExtensionConfig config) {
        return factory.create(ExtensionKind.TOKENIZER, config.type(), config.options(), Map.of());
    }

    MorModel model(ExperimentConfig config) {
        return new MorModel(
                config.model().shape(),
                parts(
                        config.model().block(),
                        config.kvCache(),
                        chosen(config.router(), "none"),
                        chosen(config.selector(), "default")));
    }

    private static Optional<ExtensionConfig> chosen(ExtensionConfig config, String absent) {
        return config.type().equals(absent) || config.type().equals("none") ? Optional.empty() : Optional.of(config);
    }

    private ModelParts parts(
            ExtensionConfig block,
            ExtensionConfig cache,
            Optional<ExtensionConfig> router,
            Optional<ExtensionConfig> selector) {
        Optional<Function<ModelShape, Router>> makeRouter = router.map(config -> shape ->
                factory.create(ExtensionKind.ROUTER, config.type(), config.options(), Map.of(ModelShape.class, shape)));
        Optional<Function<ModelShape, Selector>> makeSelector = selector.map(config -> shape -> factory.create(
                ExtensionKind.SELECTOR, config.type(), config.options(), Map.of(ModelShape.class, shape)));
        KvCache kvCache = factory.create(ExtensionKind.KV_CACHE, cache.type(), cache.options(), Map.of());
        return new ModelParts(
                (shape, placement) -> factory.create(
                        ExtensionKind.RECURSION_BLOCK,
                        block.type(),
                        block.options(),
                        Map.of(ModelShape.class, shape, BlockPlacement.class, placement)),
                makeRouter,
                kvCache,
                makeSelector);
    }

    ExtensionFactory factory() {
        return factory;
    }

    /** Parts for golden cases: Llama layers and extensions by id. */
    Conformance.PartsFactory conformance() {
        return (kvCache, router, selector) -> parts(
                ExtensionConfig.of("llama"),
                ExtensionConfig.of(kvCache),
                router.map(entry -> new ExtensionConfig(entry.getKey(), entry.getValue())),
                selector.map(ExtensionConfig::of));
    }

    /** A config whose vocabulary is the tokenizer's, where it leaves that open. */
    static ExperimentConfig withVocabulary(ExperimentConfig config, Tokenizer tokenizer) {
        ModelConfig shape = config.model().shape();
        if (shape.vocabulary() == 0) {
            return config.with("model.vocabulary", tokenizer.vocabularySize());
        }
        if (shape.vocabulary() < tokenizer.vocabularySize()) {
            throw new UsageException("model.vocabulary: " + shape.vocabulary() + " ids are too few for tokenizer '"
                    + config.tokenizer().type() + "', which has " + tokenizer.vocabularySize()
                    + "; give at least that, or 0 to take it over");
        }
        return config;
    }
}
