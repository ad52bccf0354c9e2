package io.mor.it;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.block.llama.LlamaBlock;
import io.mor.block.llama.LlamaConfig;
import io.mor.block.llama.RelaxationConfig;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.DepthCounter;
import io.mor.runtime.model.LayerSources;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import io.mor.testkit.AssertingKvCache;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.function.Function;

/** A model of odd, tiny sizes with large random weights, so that its choices differ from token to token. */
final class TinyModel implements AutoCloseable {

    static final int VOCABULARY = 37;
    static final int CONTEXT = 41;

    final Backend backend;
    final MorModel model;
    final Weights weights;

    private TinyModel(Backend backend, MorModel model) {
        this.backend = Watched.backend(backend);
        this.model = model;
        this.weights = new Weights(this.backend, model.statefulParts());
        weights.initialize(
                5,
                0.5,
                LayerSources.of(
                        model.plan(), Initialization.RANDOM, model.plan().layers(), 5));
    }

    /** Parts whose cache strategy is watched too. */
    private static ModelParts parts(
            BiFunction<ModelShape, BlockPlacement, RecursionBlock> block,
            Optional<Function<ModelShape, Router>> router,
            KvCache cache,
            Optional<Function<ModelShape, Selector>> selector) {
        return new ModelParts(block, router, new AssertingKvCache(cache), selector);
    }

    static TinyModel vanilla() {
        return of(Sharing.NONE, 2, 1, new RecursionWiseCache());
    }

    static TinyModel of(Sharing sharing, int layers, int recursions, KvCache cache) {
        return of(
                new ReferenceBackend(),
                sharing,
                layers,
                recursions,
                cache,
                VOCABULARY,
                Optional.empty(),
                Optional.empty());
    }

    static TinyModel routed(Sharing sharing, int layers, int recursions, KvCache cache, Routing routing) {
        return routed(new ReferenceBackend(), sharing, layers, recursions, cache, routing);
    }

    static TinyModel routed(
            Backend backend, Sharing sharing, int layers, int recursions, KvCache cache, Routing routing) {
        return of(
                backend,
                sharing,
                layers,
                recursions,
                cache,
                VOCABULARY,
                Optional.of(routing.router()),
                routing.selector());
    }

    /** A model whose norms differ from recursion to recursion. */
    static TinyModel withOwnNorms(Sharing sharing, int layers, int recursions, KvCache cache, Routing routing) {
        ModelConfig config = new ModelConfig(
                VOCABULARY,
                12,
                layers,
                2,
                1,
                18,
                CONTEXT,
                sharing,
                recursions,
                1,
                true,
                false,
                Initialization.RANDOM,
                0.5,
                1e-5,
                10000,
                0);
        return new TinyModel(
                new ReferenceBackend(),
                new MorModel(config, parts(LlamaBlock::new, Optional.of(routing.router()), cache, routing.selector())));
    }

    /** An unshared model whose layers share keys and values in groups. */
    static TinyModel withKvSharingGroups(int layers, int groups, KvCache cache) {
        ModelConfig config = new ModelConfig(
                VOCABULARY,
                12,
                layers,
                2,
                1,
                18,
                CONTEXT,
                Sharing.NONE,
                1,
                groups,
                true,
                true,
                Initialization.RANDOM,
                0.5,
                1e-5,
                10000,
                0);
        return new TinyModel(
                new ReferenceBackend(),
                new MorModel(config, parts(LlamaBlock::new, Optional.empty(), cache, Optional.empty())));
    }

    /**
     * A model of which more differs between recursions than its depth.
     *
     * @param routing empty for a plain recursive model
     */
    static TinyModel relaxed(
            Backend backend,
            RelaxationConfig relaxation,
            Sharing sharing,
            int layers,
            int recursions,
            KvCache cache,
            Optional<Routing> routing) {
        ModelConfig config = new ModelConfig(
                VOCABULARY,
                12,
                layers,
                2,
                1,
                18,
                CONTEXT,
                sharing,
                recursions,
                1,
                true,
                true,
                Initialization.AVERAGE,
                0.5,
                1e-5,
                10000,
                0);
        return new TinyModel(
                backend,
                new MorModel(
                        config,
                        parts(
                                (shape, placement) -> new LlamaBlock(new LlamaConfig(relaxation), shape, placement),
                                routing.map(Routing::router),
                                cache,
                                routing.flatMap(Routing::selector))));
    }

    /** Gives parameters whose names contain a text random values, so that nothing rests at the point where it starts. */
    void shake(String name) {
        for (Parameter parameter : weights.parameters()) {
            if (parameter.name().contains(name)) {
                double[] values = backend.readDoubles(weights.value(parameter));
                Random random = new Random(parameter.name().hashCode());
                for (int i = 0; i < values.length; i++) {
                    values[i] += 0.4 * random.nextGaussian();
                }
                backend.write(weights.value(parameter), values);
            }
        }
    }

    static TinyModel ofVocabulary(int vocabulary) {
        return of(
                new ReferenceBackend(),
                Sharing.NONE,
                2,
                1,
                new RecursionWiseCache(),
                vocabulary,
                Optional.empty(),
                Optional.empty());
    }

    private static TinyModel of(
            Backend backend,
            Sharing sharing,
            int layers,
            int recursions,
            KvCache cache,
            int vocabulary,
            Optional<Function<ModelShape, Router>> router,
            Optional<Function<ModelShape, Selector>> selector) {
        ModelConfig config = new ModelConfig(
                vocabulary,
                12,
                layers,
                2,
                1,
                18,
                CONTEXT,
                sharing,
                recursions,
                1,
                true,
                true,
                Initialization.RANDOM,
                0.5,
                1e-5,
                10000,
                0);
        return new TinyModel(backend, new MorModel(config, parts(LlamaBlock::new, router, cache, selector)));
    }

    /**
     * What a causal call over a whole sequence says, without any cache.
     *
     * @param logits after the last token
     * @param depths of all tokens
     */
    record Uncached(double[] logits, int[] depths) {}

    /** Such a call. */
    Uncached uncached(List<Integer> ids) {
        try (MemoryPool pool = new MemoryPool(backend);
                Region region = pool.region()) {
            ModelCall call = model.call(region, Phase.CAUSAL, weights, CallProgress.none(0));
            int[] inputs = ids.stream().mapToInt(Integer::intValue).toArray();
            DepthCounter depths = new DepthCounter(model, call, inputs.length);
            TokenBatch batch = TokenBatches.ofSequences(region, List.of(inputs.length));
            double[] all = backend.readDoubles(model.logits(
                    call, model.rows(call, batch, region.ints(inputs), model.stepStorage(), Optional.empty(), depths)));
            int vocabulary = model.shape().vocabulary();
            return new Uncached(Arrays.copyOfRange(all, all.length - vocabulary, all.length), depths.read());
        }
    }

    @Override
    public void close() {
        weights.close();
        backend.close();
    }
}
