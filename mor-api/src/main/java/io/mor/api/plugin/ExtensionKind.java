package io.mor.api.plugin;

import io.mor.api.backend.Backend;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.data.Tokenizer;
import io.mor.api.metric.MetricSink;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;

/**
 * The extension points, each with the interface that its implementations implement.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum ExtensionKind {
    /** Decides which rows go through a recursion; config key {@code router}. */
    ROUTER("router", Router.class),
    /** The causal rule by which a router selects at generation; config key {@code selector}. */
    SELECTOR("selector", Selector.class),
    /** The layers that are applied again and again; config key {@code model.block}. */
    RECURSION_BLOCK("block", RecursionBlock.class),
    /** What is stored and read at each recursion; config key {@code kv-cache}. */
    KV_CACHE("kv-cache", KvCache.class),
    /** Where and how kernels run; config key {@code backend}. */
    BACKEND("backend", Backend.class),
    /** Text to token ids and back; config key {@code tokenizer}. */
    TOKENIZER("tokenizer", Tokenizer.class),
    /** Where training figures go; config key {@code metrics}. */
    METRIC_SINK("metric-sink", MetricSink.class);

    private final String id;
    private final Class<?> type;

    ExtensionKind(String id, Class<?> type) {
        this.id = id;
        this.type = type;
    }

    /** The kebab-case name used in messages and listings. */
    public String id() {
        return id;
    }

    /** The interface that an implementation of this kind implements. */
    public Class<?> type() {
        return type;
    }
}
