package io.mor.runtime.config;

import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvViews;
import io.mor.api.cache.KvVisit;
import io.mor.api.data.Tokenizer;
import io.mor.api.metric.MetricSink;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import io.mor.api.plugin.Range;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.plugin.PluginCatalog;
import jakarta.inject.Inject;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Extensions that do nothing, for configs to name. */
public final class TestExtensions implements MorPlugin {

    /** A catalog with one extension of each kind that the default config names, and a router with keys of every type. */
    public static PluginCatalog catalog() {
        return PluginCatalog.of(new TestExtensions());
    }

    @Override
    public List<Extension> extensions() {
        return List.of(
                new Extension(ExtensionKind.RECURSION_BLOCK, "llama", Block.class, NoConfig.class, "a block"),
                new Extension(ExtensionKind.ROUTER, "expert-choice", FakeRouter.class, RouterConfig.class, "a router")
                        .withDefaultSelector("ema-cutoff"),
                new Extension(ExtensionKind.ROUTER, "token-choice", FakeRouter.class, NoConfig.class, "another router"),
                new Extension(
                        ExtensionKind.SELECTOR, "ema-cutoff", FakeSelector.class, SelectorConfig.class, "a selector"),
                new Extension(ExtensionKind.KV_CACHE, "recursion-wise", Cache.class, NoConfig.class, "a cache"),
                new Extension(ExtensionKind.KV_CACHE, "hybrid", Cache.class, NoConfig.class, "a cache"),
                new Extension(ExtensionKind.TOKENIZER, "byte", Bytes.class, NoConfig.class, "a tokenizer"),
                new Extension(ExtensionKind.METRIC_SINK, "jsonl", Sink.class, NoConfig.class, "a sink"),
                new Extension(ExtensionKind.METRIC_SINK, "tensorboard", Sink.class, NoConfig.class, "a sink"));
    }

    /** A choice. */
    public enum Gate {
        SIGMOID,
        TANH_LIKE
    }

    /** Nested keys. */
    public record Loss(
            @DefaultValue("0.001") @Range(min = 0) double coefficient,
            @DefaultValue("false") boolean enabled) {}

    /** Keys of every type. */
    public record RouterConfig(
            @Help("gate weight") @DefaultValue("0.1") @Range(min = 0, exclusiveMin = true, max = 10)
            double alpha,

            @DefaultValue("sigmoid") Gate function,
            @DefaultValue("[]") @Range(min = 0, max = 1) List<Double> capacity,
            Loss auxiliaryLoss,
            Optional<String> note,
            @DefaultValue("{}") Map<String, Integer> weights) {}

    /** One key. */
    public record SelectorConfig(
            @DefaultValue("0.99") @Range(min = 0, max = 1) double decay) {}

    /** Routes nothing. */
    public static final class FakeRouter implements Router {
        @Override
        public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
            throw new UnsupportedOperationException();
        }
    }

    /** Selects nothing. */
    public static final class FakeSelector implements Selector {
        private final SelectorConfig config;

        /** Keeps its config. */
        @Inject
        public FakeSelector(SelectorConfig config) {
            this.config = config;
        }

        /** What it was given. */
        public SelectorConfig config() {
            return config;
        }

        @Override
        public Tensor select(CallContext context, SelectionRequest request) {
            throw new UnsupportedOperationException();
        }
    }

    /** Applies nothing. */
    public static final class Block implements RecursionBlock {
        @Override
        public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
            throw new UnsupportedOperationException();
        }

        @Override
        public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
            return 0;
        }
    }

    /** Plans own visits. */
    public static final class Cache implements KvCache {
        @Override
        public KvVisit visit(int recursion, int recursions, int layer) {
            return KvVisit.own(recursion);
        }
    }

    /** Drops figures. */
    public static final class Sink implements MetricSink {
        @Override
        public void record(long step, Map<String, Double> values) {}
    }

    /** Knows no text. */
    public static final class Bytes implements Tokenizer {
        @Override
        public int vocabularySize() {
            return 256;
        }

        @Override
        public int[] encode(String text) {
            return new int[0];
        }

        @Override
        public byte[] decode(int[] ids) {
            return new byte[0];
        }

        @Override
        public String fingerprint() {
            return "none";
        }
    }
}
