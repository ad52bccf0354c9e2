package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiFunction;

/**
 * A small model around a recursion block and a cache strategy: {@value #BLOCK_LAYERS} layers a block, {@value ModelBench#RECURSIONS} recursions,
 * grouped-query attention of odd sizes, and a router that gives each position a fixed depth. Runs the runtime's own walk and storages, both
 * inside {@link AssertingKvStorage}.
 */
public final class BlockBench extends ModelBench {

    /** Width of a row. */
    public static final int HIDDEN = 12;

    /** Layers of the block. */
    public static final int BLOCK_LAYERS = 2;

    /**
     * What the model is like.
     *
     * @param skipping whether positions have depths of their own ({@link #depth}); if not, every token runs every recursion
     * @param sharedNorms whether norms are shared over the recursions
     * @param dropout in training
     */
    public record Setting(boolean skipping, boolean sharedNorms, double dropout) {
        /** With skipping, shared norms and no dropout. */
        public static final Setting SKIPPING = new Setting(true, true, 0);

        /** Every token runs every recursion. */
        public static final Setting FULL_DEPTH = new Setting(false, true, 0);
    }

    /**
     * A bench.
     *
     * @param backend which it does not own
     */
    public BlockBench(
            Backend backend,
            BiFunction<ModelShape, BlockPlacement, RecursionBlock> block,
            KvCache cache,
            Setting setting) {
        super(
                backend,
                config(HIDDEN, BLOCK_LAYERS, 2, 1, 18, setting.sharedNorms(), 0.3, setting.dropout()),
                new ModelParts(
                        block,
                        setting.skipping() ? Optional.of(DepthPatternRouter::new) : Optional.empty(),
                        new AssertingKvCache(cache),
                        Optional.empty()));
    }

    /** The depth of a position where positions have depths of their own. */
    public static int depth(int position) {
        return DepthPatternRouter.depth(position, RECURSIONS);
    }

    /** The sizes of the model. */
    public ModelShape shape() {
        return model.shape();
    }

    /** The block under test. */
    public RecursionBlock block() {
        return model.stages().get(model.sharedStage()).blocks().getFirst();
    }

    /** Whole sequences without a storage that outlives the call: the final rows, normalised. */
    public List<double[]> walk(Phase phase, List<Integer> lengths, List<Integer> ids) {
        try (Region region = region();
                AssertingKvStorage storage = AssertingKvStorage.ofStep(model)) {
            return rows(
                    walk(region, storage, phase, lengths, ids, progress(3, 1)).rows());
        }
    }

    private record Walked(ModelCall call, Tensor rows) {}

    private Walked walk(
            Region region,
            AssertingKvStorage storage,
            Phase phase,
            List<Integer> lengths,
            List<Integer> ids,
            CallProgress progress) {
        ModelCall call = model.call(region, phase, weights, progress);
        TokenBatch batch = TokenBatches.ofSequences(region, lengths);
        return new Walked(call, model.rows(call, batch, region.ints(toArray(ids)), storage));
    }

    /** Gradients of {@link #objective}, of this call alone. */
    public void train(List<Integer> lengths, List<Integer> ids) {
        weights.zeroGradients();
        try (Region region = region();
                AssertingKvStorage storage = AssertingKvStorage.ofStep(model)) {
            Walked walked = walk(region, storage, Phase.TRAINING, lengths, ids, progress(3, 1));
            walked.call().tape().backward(weightedSum(walked.call(), walked.rows()), 1);
        }
    }

    /** A training step and a causal call that leave nothing to look at and use no asserting storage. */
    public void unseenCalls(List<Integer> lengths, List<Integer> ids) {
        for (Phase phase : List.of(Phase.TRAINING, Phase.CAUSAL)) {
            try (Region region = region()) {
                ModelCall call = model.call(region, phase, weights, progress(3, 1));
                TokenBatch batch = TokenBatches.ofSequences(region, lengths);
                Tensor rows = model.rows(call, batch, region.ints(toArray(ids)), model.stepStorage());
                if (phase == Phase.TRAINING) {
                    call.tape().backward(weightedSum(call, rows), 1);
                }
            }
        }
    }

    /** The sum of all final values in training, each times a number of its own. */
    public double objective(List<Integer> lengths, List<Integer> ids) {
        try (Region region = region();
                AssertingKvStorage storage = AssertingKvStorage.ofStep(model)) {
            Walked walked = walk(region, storage, Phase.TRAINING, lengths, ids, progress(3, 1));
            return backend.readDoubles(weightedSum(walked.call(), walked.rows()))[0];
        }
    }

    /**
     * What generation leaves of one sequence.
     *
     * @param rows the final rows of all its tokens, normalised
     * @param entries rows of keys and values held at the end, over all layers and recursions
     */
    public record Generated(List<double[]> rows, long entries) {}

    /**
     * Takes a sequence through paged storage.
     *
     * @param pieces how many tokens each call brings
     * @param slotsBefore sequences that are open beside it, so that its pages are others
     */
    public Generated generate(List<Integer> ids, List<Integer> pieces, int slotsBefore) {
        List<double[]> rows = new ArrayList<>();
        long entries;
        try (AssertingKvStorage storage = storage(slotsBefore + 1, ids.size())) {
            List<Integer> slots = new ArrayList<>();
            for (int i = 0; i <= slotsBefore; i++) {
                slots.add(storage.open());
            }
            int slot = slots.getLast();
            int position = 0;
            for (int piece : pieces) {
                storage.reserve(slot, piece);
                rows.addAll(call(storage, slot, position, ids.subList(position, position + piece)));
                storage.synchronize();
                position += piece;
            }
            entries = storage.entries(slot);
            slots.forEach(storage::release);
        }
        return new Generated(rows, entries);
    }

    /** Paged storage of this model. */
    AssertingKvStorage storage(int slots, int capacity) {
        return AssertingKvStorage.paged(backend, model, slots, capacity);
    }

    /** New tokens of one sequence, from a position on. */
    List<double[]> call(AssertingKvStorage storage, int slot, int position, List<Integer> ids) {
        List<TokenRow> tokens = new ArrayList<>();
        for (int i = 0; i < ids.size(); i++) {
            tokens.add(new TokenRow(slot, position + i, 1));
        }
        return call(storage, tokens, ids, position + ids.size());
    }

    private List<double[]> call(AssertingKvStorage storage, List<TokenRow> tokens, List<Integer> ids, int length) {
        try (Region region = region()) {
            ModelCall call = model.call(region, Phase.CAUSAL, weights, CallProgress.none(SEED));
            TokenBatch batch = TokenBatches.of(region, tokens, tokens.isEmpty() ? List.of() : List.of(length));
            return rows(model.rows(call, batch, region.ints(toArray(ids)), storage));
        }
    }

    /**
     * The last rows of sequences, not normalised, whose last tokens run all recursions, one recursion a call.
     *
     * @param sequences their ids; the last one is the token that is watched
     * @param delays at which call each last token enters recursion 1; tokens of one call are at different recursions where these differ
     */
    public List<double[]> lastRows(List<List<Integer>> sequences, List<Integer> delays) {
        int longest = sequences.stream().mapToInt(List::size).max().orElseThrow();
        try (AssertingKvStorage storage = storage(sequences.size(), longest)) {
            List<Integer> slots = new ArrayList<>();
            Map<Integer, double[]> values = new TreeMap<>();
            for (int i = 0; i < sequences.size(); i++) {
                int slot = storage.open();
                slots.add(slot);
                List<Integer> prompt =
                        sequences.get(i).subList(0, sequences.get(i).size() - 1);
                storage.reserve(slot, prompt.size());
                call(storage, slot, 0, prompt);
                storage.synchronize();
                values.put(i, embedding(sequences.get(i).getLast()));
            }
            slots.forEach(slot -> storage.reserve(slot, 1));
            int lastCall = delays.stream().mapToInt(Integer::intValue).max().orElseThrow() + RECURSIONS;
            for (int call = 0; call < lastCall; call++) {
                recurse(storage, sequences, slots, delays, call, values);
            }
            storage.synchronize();
            slots.forEach(storage::release);
            return List.copyOf(values.values());
        }
    }

    private void recurse(
            AssertingKvStorage storage,
            List<List<Integer>> sequences,
            List<Integer> slots,
            List<Integer> delays,
            int call,
            Map<Integer, double[]> values) {
        record Waiting(int sequence, TokenRow row) {}
        List<Waiting> waiting = new ArrayList<>();
        for (int recursion = 1;
                recursion <= RECURSIONS;
                recursion++) { // batches are sorted by recursion, then sequence
            for (int i = 0; i < sequences.size(); i++) {
                if (call - delays.get(i) + 1 == recursion) {
                    waiting.add(new Waiting(
                            i, new TokenRow(slots.get(i), sequences.get(i).size() - 1, recursion)));
                }
            }
        }
        if (waiting.isEmpty()) {
            return;
        }
        try (Region region = region()) {
            ModelCall modelCall = model.call(region, Phase.CAUSAL, weights, CallProgress.none(SEED));
            TokenBatch batch = TokenBatches.of(
                    region,
                    waiting.stream().map(Waiting::row).toList(),
                    waiting.stream()
                            .map(one -> sequences.get(one.sequence()).size())
                            .toList());
            Tensor rows = tensor(
                    region,
                    waiting.stream().map(one -> values.get(one.sequence())).toList(),
                    HIDDEN);
            MorModel.Recursed recursed = model.recurse(modelCall, batch, rows, RoutingState.NONE, storage);
            List<double[]> updated = rows(recursed.rows());
            for (int i = 0; i < waiting.size(); i++) {
                values.put(waiting.get(i).sequence(), updated.get(i));
            }
        }
    }

    /**
     * The block alone: what it makes of rows at a recursion, and whether it left its input as it was.
     *
     * @param output {@code [rows, hidden]}
     * @param inputAfter the rows it was given, read after it
     */
    public record Applied(List<double[]> output, List<double[]> inputAfter) {}

    /** Applies the block once to one whole sequence of given rows. */
    public Applied apply(Phase phase, int recursion, List<double[]> values) {
        try (Region region = region();
                AssertingKvStorage storage = AssertingKvStorage.ofStep(model)) {
            ModelCall call = model.call(region, phase, weights, progress(3, 1));
            TokenBatch first = TokenBatches.ofSequences(region, List.of(values.size()));
            Tensor rows = tensor(region, values, HIDDEN);
            Tensor output = rows;
            // What a later recursion reads of an earlier one must be there.
            for (int r = 1; r <= recursion; r++) {
                TokenBatch batch = TokenBatches.at(region, first, r);
                output = block().apply(call, batch, rows, storage.visit(call, model.sharedStage(), batch));
                if (output.rows() != values.size()
                        || output.columns() != HIDDEN
                        || !output.extent().equals(batch.extent())) {
                    throw new AssertionError("the block made " + KernelCall.shape(output) + " of rows "
                            + KernelCall.shape(rows) + "; the shape and extent must be the same");
                }
            }
            return new Applied(rows(output), rows(rows));
        }
    }

    /** A value for every element of every parameter that is neither an initialised weight nor all the same. */
    public void scatterParameters() {
        for (Parameter parameter : weights.parameters()) {
            double[] values = read(parameter);
            if (Arrays.stream(values).distinct().count() == 1) {
                for (int i = 0; i < values.length; i++) {
                    values[i] += 0.3 * Math.sin(1 + i);
                }
                write(parameter, values);
            }
        }
    }
}
