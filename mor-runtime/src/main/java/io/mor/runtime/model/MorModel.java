package io.mor.runtime.model;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.Region;
import io.mor.runtime.tape.Recomputation;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A vanilla, recursive or Mixture-of-Recursions language model: the one walk for training, evaluation, prefill and decoding. It is immutable; values
 * are in {@link Weights}, what a call changes is in its {@link ModelCall} and {@link KvStorage}.
 *
 * <p>tokens, embedding, entry stages (own first layer), the shared stage (recursions), exit stages (own last layer), norm, head.
 */
public final class MorModel {

    private final ModelConfig config;
    private final ModelShape shape;
    private final LayerPlan plan;
    private final TokenEmbedding embedding;
    private final List<Stage> stages;
    private final int sharedStage;
    private final Router router;
    private final boolean routed;
    private final KvCache cache;
    private final Optional<Selector> selector;
    private final Parameter norm;
    private final Parameter head;

    /**
     * Puts a model together.
     *
     * @throws IllegalArgumentException naming the key if the config cannot be built
     */
    public MorModel(ModelConfig config, ModelParts parts) {
        if (config.hidden() % config.heads() != 0) {
            throw new IllegalArgumentException(
                    "model.heads: " + config.heads() + " heads do not divide model.hidden " + config.hidden());
        }
        this.config = config;
        this.plan = LayerPlan.of(config);
        AttentionShape attention =
                new AttentionShape(config.heads(), config.kvHeads(), config.hidden() / config.heads());
        this.shape = new ModelShape(
                config.vocabulary(),
                config.hidden(),
                attention,
                config.ffn(),
                config.context(),
                plan.recursions(),
                config.lnShare(),
                config.normEpsilon(),
                config.ropeTheta(),
                config.dropout());
        this.embedding = new TokenEmbedding(shape);
        this.cache = parts.cache();
        this.routed = parts.router().isPresent();
        if (routed && !(plan.sharing().isCycle() && plan.recursions() > 1)) {
            throw new IllegalArgumentException(
                    "router: routing needs model.sharing cycle or middle-cycle and model.recursions of at least 2, not "
                            + plan.sharing() + " and " + plan.recursions());
        }
        this.router = parts.router().map(make -> make.apply(shape)).orElseGet(AllRowsRouter::new);
        this.selector = parts.selector().map(make -> make.apply(shape));
        this.stages = stages(parts);
        int shared = -1;
        for (int i = 0; i < stages.size(); i++) {
            shared = stages.get(i).routed() ? i : shared;
        }
        this.sharedStage = shared;
        this.norm = Parameter.scale("norm.weight", 1, shape.hidden());
        this.head = config.tied()
                ? embedding.table()
                : Parameter.weight("lm_head.weight", shape.vocabulary(), shape.hidden());
    }

    private List<Stage> stages(ModelParts parts) {
        List<Stage> all = new ArrayList<>();
        int recursions = plan.recursions();
        int first = plan.sharing().isMiddle() ? 1 : 0;
        if (first == 1) {
            all.add(Stage.shared(parts.block().apply(shape, new BlockPlacement(0, 1, 1)), 1, 1, false));
        }
        switch (plan.sharing()) {
            case NONE -> addUnshared(all, parts);
            case CYCLE, MIDDLE_CYCLE ->
                all.add(Stage.shared(
                        parts.block().apply(shape, new BlockPlacement(first, plan.blockLayers(), recursions)),
                        plan.blockLayers(),
                        recursions,
                        recursions > 1));
            case SEQUENCE, MIDDLE_SEQUENCE -> {
                for (int i = 0; i < plan.blockLayers(); i++) {
                    all.add(Stage.shared(
                            parts.block().apply(shape, new BlockPlacement(first + i, 1, recursions)),
                            1,
                            recursions,
                            false));
                }
            }
        }
        if (first == 1) {
            all.add(Stage.shared(
                    parts.block().apply(shape, new BlockPlacement(plan.physicalLayers() - 1, 1, 1)), 1, 1, false));
        }
        return all;
    }

    /** Unshared layers; with key-value sharing they stand in groups whose layers of one place share (spec 4.4). */
    private void addUnshared(List<Stage> all, ModelParts parts) {
        int groups = config.kvSharingGroups();
        if (plan.layers() % groups != 0) {
            throw new IllegalArgumentException(
                    "model.kv-sharing-groups: " + groups + " groups do not divide " + plan.layers() + " layers");
        }
        int layers = plan.layers() / groups;
        List<RecursionBlock> blocks = new ArrayList<>();
        for (int i = 0; i < groups; i++) {
            blocks.add(parts.block().apply(shape, new BlockPlacement(i * layers, layers, 1)));
        }
        all.add(new Stage(blocks, layers, false));
    }

    /** The configuration it was built from. */
    public ModelConfig config() {
        return config;
    }

    /** Its sizes. */
    public ModelShape shape() {
        return shape;
    }

    /** Its layers. */
    public LayerPlan plan() {
        return plan;
    }

    /** The parts of the walk, in order. */
    public List<Stage> stages() {
        return stages;
    }

    /** Index of the stage that a cycle repeats; -1 if there is none. */
    public int sharedStage() {
        return sharedStage;
    }

    /** The router; the one that lets every row pass if none is configured. */
    public Router router() {
        return router;
    }

    /** Whether a router is configured. */
    public boolean isRouted() {
        return routed;
    }

    /** The causal selector. */
    public Optional<Selector> selector() {
        return selector;
    }

    /** The cache strategy. */
    public KvCache cache() {
        return cache;
    }

    /** The output head's weights, {@code [vocabulary, hidden]}. */
    public Parameter head() {
        return head;
    }

    /** Everything that has state, in the order in which it is saved. */
    public List<Stateful> statefulParts() {
        Set<Stateful> parts = new LinkedHashSet<>();
        parts.add(embedding);
        stages.forEach(stage -> parts.addAll(stage.blocks()));
        parts.add(router);
        selector.ifPresent(parts::add);
        parts.add(new Stateful() {
            @Override
            public List<Parameter> parameters() {
                return config.tied() ? List.of(norm) : List.of(norm, head);
            }
        });
        return List.copyOf(parts);
    }

    /** A call of this model with these weights. */
    public ModelCall call(Region region, Phase phase, Weights weights, CallProgress progress) {
        return call(region, phase, weights, progress, Recomputation.NONE, false);
    }

    /**
     * A call of this model with these weights.
     *
     * @param recomputation what is calculated again for gradients instead of kept
     * @param gradientsAreEmpty whether the gradients hold nothing yet, whatever their memory holds
     */
    public ModelCall call(
            Region region,
            Phase phase,
            Weights weights,
            CallProgress progress,
            Recomputation recomputation,
            boolean gradientsAreEmpty) {
        return new ModelCall(region, phase, weights, selector, progress, recomputation, gradientsAreEmpty);
    }

    /** Storage for keys and values of calls over whole sequences. */
    public KvStorage stepStorage() {
        return new StepKvStorage(stages, cache);
    }

    /** The final rows, normalised, of whole sequences or of new tokens of sequences in {@code storage}: {@code [rows, hidden]}. */
    public Tensor rows(ModelCall call, TokenBatch batch, IntTensor ids, KvStorage storage) {
        return rows(call, batch, ids, storage, Optional.empty(), (recursion, active) -> {});
    }

    /**
     * As above.
     *
     * @param keepAfterFirst 1 for the rows that go on after recursion 1, see {@link #canSkipPrompt}; empty for all
     * @param listener is told which rows went through each recursion of the shared stage
     */
    public Tensor rows(
            ModelCall call,
            TokenBatch batch,
            IntTensor ids,
            KvStorage storage,
            Optional<Tensor> keepAfterFirst,
            RecursionListener listener) {
        Tensor rows = enter(call, batch, ids, storage);
        if (sharedStage >= 0) {
            rows = new RoutedWalk(stages.get(sharedStage), sharedStage, router, storage, cache)
                    .walk(call, rows, batch, keepAfterFirst, listener::visited);
        }
        return exit(call, batch, rows, storage);
    }

    /** Is told which rows went through each recursion. */
    @FunctionalInterface
    public interface RecursionListener {
        /** The rows {@code active} are going through a recursion. */
        void visited(int recursion, TokenBatch active);
    }

    /** The first part of the walk: embedding and the stages before the shared one (all stages if none is shared). */
    public Tensor enter(ModelCall call, TokenBatch batch, IntTensor ids, KvStorage storage) {
        Tensor rows = embedding.encode(call, batch, ids);
        return unrouted(call, batch, rows, storage, 0, sharedStage >= 0 ? sharedStage : stages.size());
    }

    /** What the router remembers of rows that enter recursion 1. */
    public RoutingState begin(ModelCall call, TokenBatch batch, Tensor rows) {
        return router.begin(call, batch, rows);
    }

    /**
     * What one recursion of a decoding batch leaves.
     *
     * @param rows all rows of the batch, updated where they went through
     * @param active the rows that went through
     * @param state the router's memory of those
     */
    public record Recursed(Tensor rows, TokenBatch active, RoutingState state) {}

    /** The middle part: takes each row of a batch, at mixed recursions or one, through the recursion it is about to enter. */
    public Recursed recurse(ModelCall call, TokenBatch batch, Tensor rows, RoutingState state, KvStorage storage) {
        RoutedWalk.Visit visit = new RoutedWalk(stages.get(sharedStage), sharedStage, router, storage, cache)
                .visit(call, rows, batch, true, state);
        return new Recursed(visit.rows(), visit.active(), visit.state());
    }

    /** The last part: the stages after the shared one and the final norm. */
    public Tensor exit(ModelCall call, TokenBatch batch, Tensor rows, KvStorage storage) {
        Tensor last = sharedStage >= 0 ? unrouted(call, batch, rows, storage, sharedStage + 1, stages.size()) : rows;
        return call.ops().rmsNorm(last, call.value(norm), Optional.empty(), shape.normEpsilon());
    }

    private Tensor unrouted(ModelCall call, TokenBatch batch, Tensor rows, KvStorage storage, int from, int to) {
        Tensor current = rows;
        for (int i = from; i < to; i++) {
            Stage stage = stages.get(i);
            for (int recursion = 1; recursion <= stage.recursions(); recursion++) {
                TokenBatch at = TokenBatches.at(call.region(), batch, recursion);
                current = stage.blocks().get(recursion - 1).apply(call, at, current, storage.visit(call, i, at));
            }
        }
        return current;
    }

    /** Logits of normalised rows: {@code [rows, vocabulary]}. */
    public Tensor logits(ModelCall call, Tensor rows) {
        return call.ops().linear(rows, call.value(head));
    }

    /**
     * Whether a prompt's tokens but the last need not go beyond recursion 1 in a prefill: nothing later reads what they would leave (spec 4.1).
     * So it is for Cycle with shared keys and values; not for Middle-Cycle, whose last layer reads every token's final state.
     */
    public boolean canSkipPrompt() {
        if (sharedStage < 0 || sharedStage != stages.size() - 1) {
            return false;
        }
        Stage stage = stages.get(sharedStage);
        for (int recursion = 2; recursion <= stage.recursions(); recursion++) {
            for (int layer = 0; layer < stage.layers(); layer++) {
                if (stage.plan(cache, recursion, layer).writes()) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Called after every optimizer step: lets the parts update their buffers. */
    public void afterOptimizerStep(ModelCall call) {
        statefulParts().forEach(part -> part.afterOptimizerStep(call));
    }

    /** Whether this is neither shared nor routed. */
    public boolean isVanilla() {
        return plan.sharing() == Sharing.NONE;
    }
}
