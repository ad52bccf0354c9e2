package io.mor.runtime.conformance;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.KvStorage;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.PagedKvStorage;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Runs golden cases on a backend: forward, losses, selections, every gradient, and causal decoding: at once, token by token through the
 * cache, and in batches of rows at mixed recursions. Decoding at once and token by token must agree bit for bit, unless the backend {@linkplain
 * Backend#rowIndependent() does not promise that}; then their difference is reported as {@code prefill-decode} and each is compared with the case.
 *
 * <p>Where activations are in bfloat16 the recorded selections are forced, and {@code selection-changed} is the part of the candidates that would have
 * gone the other way. The depths of token choice cannot be forced: {@code depth-changed} is the part of the tokens with another depth, and a case
 * where that is not 0 is compared no further.
 */
public final class Conformance {

    /** Makes a model's parts from extension ids and options. */
    @FunctionalInterface
    public interface PartsFactory {
        /**
         * The parts.
         *
         * @param router id and options of the router; empty for none
         * @param selector id of the selector; empty for none
         */
        ModelParts parts(
                String kvCache, Optional<Map.Entry<String, Map<String, Object>>> router, Optional<String> selector);
    }

    private static final int WIDE =
            1 << 12; // columns for which a backend keeps activations in the least precision that it has

    private final Backend backend;
    private final PartsFactory factory;

    /** A run on a backend. */
    public Conformance(Backend backend, PartsFactory factory) {
        this.backend = backend;
        this.factory = factory;
    }

    /** Compares one case. */
    public ConformanceResult run(GoldenCase golden) {
        GoldenConfig config = golden.config();
        MorModel model = new MorModel(
                config.model(),
                factory.parts(
                        config.kvCache(),
                        config.router().map(router -> Map.entry(router.id(), router.options())),
                        config.selector()));
        try (MemoryPool pool = new MemoryPool(backend);
                Weights weights = new Weights(backend, model.statefulParts())) {
            Run run = new Run(golden, model, weights, pool);
            run.loadWeights();
            if (run.isComparable()) {
                run.training();
                run.evaluation();
                run.causal();
                run.reportForced();
            }
            return new ConformanceResult(golden.name(), run.worst, run.failures);
        }
    }

    private final class Run {
        private final GoldenCase golden;
        private final MorModel model;
        private final Weights weights;
        private final MemoryPool pool;
        private final Tolerances tolerances;
        private final List<Integer> lengths;
        private final int sequenceLength;
        private final Map<String, Double> worst = new LinkedHashMap<>();
        private final List<String> failures = new ArrayList<>();
        private final boolean narrow;
        private final Optional<ForcedSelections> forced;

        Run(GoldenCase golden, MorModel model, Weights weights, MemoryPool pool) {
            this.golden = golden;
            this.model = model;
            this.weights = weights;
            this.pool = pool;
            Precision stored = backend.activationPrecision(WIDE);
            this.narrow = stored == Precision.BFLOAT16;
            this.tolerances = Tolerances.of(stored, golden.config().unboundedGate());
            this.forced = narrow && golden.selected().isPresent()
                    ? Optional.of(new ForcedSelections(
                            backend,
                            golden.selected().get(),
                            golden.depths("causal_depth").orElse(List.of())))
                    : Optional.empty();
            this.sequenceLength = golden.config().sequenceLength();
            this.lengths = Collections.nCopies(golden.config().batch(), sequenceLength);
        }

        void loadWeights() {
            if (!golden.layerMap().equals(model.plan().map())) {
                failures.add("layer map is " + model.plan().map() + ", expected " + golden.layerMap());
            }
            for (Parameter parameter : weights.parameters()) {
                backend.write(
                        weights.value(parameter),
                        required("weight/" + parameter.name(), parameter.rows() * parameter.columns()));
            }
            for (StateBuffer buffer : weights.buffers()) {
                golden.tensor("weight/" + buffer.name())
                        .ifPresent(values -> backend.write(weights.value(buffer), values));
            }
        }

        private double[] required(String name, int size) {
            double[] values = golden.tensor(name)
                    .orElseThrow(() -> new GoldenCaseException(golden.name() + ": tensor " + name + " is missing"));
            if (values.length != size) {
                throw new GoldenCaseException(
                        golden.name() + ": tensor " + name + " has " + values.length + " values, expected " + size);
            }
            return values;
        }

        private ModelCall call(Region region, Phase phase) {
            return prepared(model.call(region, phase, weights, CallProgress.none(0)));
        }

        private ModelCall prepared(ModelCall call) {
            return forced.map(selections -> selections.force(call)).orElse(call);
        }

        /** Whether what is calculated is what was recorded: in few digits tokens may choose other depths than the recorded ones. */
        boolean isComparable() {
            Optional<List<List<Integer>>> expected = golden.depths("depth");
            if (!narrow || expected.isEmpty()) {
                return true;
            }
            List<List<List<Integer>>> selected = new ArrayList<>();
            wholeSequences(Phase.FULL_SEQUENCE_EVALUATION, model.stepStorage(), selected);
            List<List<Integer>> found = depths(selected);
            long changed = 0;
            long tokens = 0;
            for (int sequence = 0; sequence < found.size(); sequence++) {
                for (int position = 0; position < found.get(sequence).size(); position++) {
                    tokens++;
                    changed += found.get(sequence)
                                    .get(position)
                                    .equals(expected.get().get(sequence).get(position))
                            ? 0
                            : 1;
                }
            }
            worst.put("depth-changed", (double) changed / tokens);
            return changed == 0;
        }

        void reportForced() {
            forced.ifPresent(selections -> worst.put("selection-changed", selections.changedShare()));
        }

        /** Losses and gradients as training takes them. */
        void training() {
            weights.enableGradients();
            try (Region region = pool.region()) {
                ModelCall call = call(region, Phase.TRAINING);
                TokenBatch batch = TokenBatches.ofSequences(region, lengths);
                Tensor rows = model.rows(call, batch, region.ints(golden.inputs()), model.stepStorage());
                Tensor crossEntropy = call.tape()
                        .meanHeadCrossEntropy(rows, weights.value(model.head()), region.ints(golden.targets()), 1);
                Optional<Tensor> weighted = call.weightedLosses();
                Tensor total = weighted.isPresent() ? call.ops().add(crossEntropy, weighted.get()) : crossEntropy;
                call.tape().backward(total, 1);
                compareScalar("loss", "cross_entropy", read(crossEntropy), golden.scalar("cross_entropy"));
                compareScalar("loss", "total_loss", read(total), golden.scalar("total_loss"));
                Map<String, List<Tensor>> losses = call.losses();
                golden.auxiliary().forEach((name, expected) -> {
                    List<Tensor> terms = losses.get(name);
                    if (terms == null) {
                        failures.add("loss " + name + " was not reported");
                    } else {
                        compareScalar(
                                "auxiliary",
                                name,
                                terms.stream().mapToDouble(this::read).sum(),
                                expected);
                    }
                });
            }
            for (Parameter parameter : weights.parameters()) {
                golden.tensor("grad/" + parameter.name())
                        .ifPresentOrElse(
                                expected -> compare(
                                        "gradient",
                                        parameter.name(),
                                        backend.readDoubles(weights.gradient(parameter)),
                                        expected,
                                        tolerances.gradients()),
                                () -> failures.add("gradient of " + parameter.name() + " is not in the case"));
            }
        }

        /** Logits and selections of the full-sequence rule. */
        void evaluation() {
            List<List<List<Integer>>> selected = new ArrayList<>();
            double[] logits = wholeSequences(Phase.FULL_SEQUENCE_EVALUATION, model.stepStorage(), selected);
            compare("logits", "logits", logits, golden.tensor("logits").orElseThrow(), tolerances.logits());
            golden.selected().ifPresent(expected -> expect("selected", selected, expected));
            golden.depths("depth").ifPresent(expected -> expect("depth", depths(selected), expected));
        }

        void causal() {
            boolean separate = golden.tensor("logits_causal").isPresent();
            double[] expected =
                    golden.tensor(separate ? "logits_causal" : "logits").orElseThrow();
            List<List<List<Integer>>> selected = new ArrayList<>();
            compare(
                    "causal",
                    "causal logits, no cache",
                    wholeSequences(Phase.CAUSAL, model.stepStorage(), selected),
                    expected,
                    tolerances.logits());
            golden.depths("causal_depth").ifPresent(depth -> expect("causal_depth", depths(selected), depth));

            double[] prefill;
            try (PagedKvStorage storage = storage()) {
                prefill = prefill(storage);
                compare("prefill", "prefill through the cache", prefill, expected, tolerances.logits());
            }
            try (PagedKvStorage storage = storage()) {
                double[] decoded = tokenByToken(storage);
                compare("decode", "token by token", decoded, expected, tolerances.logits());
                if (!Arrays.equals(prefill, decoded)) {
                    worst.merge("prefill-decode", difference(prefill, decoded), Math::max);
                    if (backend.rowIndependent()) {
                        failures.add("prefill and token-by-token decoding differ in their bits");
                    }
                }
            }
            if (model.sharedStage() >= 0) {
                try (PagedKvStorage storage = storage()) {
                    double[] mixed = new MixedRecursionDecoding(model, weights, pool, storage, this::prepared)
                            .logits(golden.inputs(), lengths);
                    compare("mixed", "decoding in batches of mixed recursions", mixed, expected, tolerances.logits());
                }
            }
        }

        private PagedKvStorage storage() {
            PagedKvStorage storage = new PagedKvStorage(backend, model, lengths.size(), sequenceLength);
            for (int i = 0; i < lengths.size(); i++) {
                storage.open();
            }
            return storage;
        }

        private double[] prefill(PagedKvStorage storage) {
            for (int slot = 0; slot < lengths.size(); slot++) {
                storage.reserve(slot, sequenceLength);
            }
            double[] logits = wholeSequences(Phase.CAUSAL, storage, new ArrayList<>());
            storage.synchronize();
            return logits;
        }

        private double[] tokenByToken(PagedKvStorage storage) {
            int vocabulary = model.shape().vocabulary();
            double[] logits = new double[lengths.size() * sequenceLength * vocabulary];
            int[] inputs = golden.inputs();
            for (int position = 0; position < sequenceLength; position++) {
                List<TokenRow> rows = new ArrayList<>();
                int[] ids = new int[lengths.size()];
                for (int slot = 0; slot < lengths.size(); slot++) {
                    storage.reserve(slot, 1);
                    rows.add(new TokenRow(slot, position, 1));
                    ids[slot] = inputs[slot * sequenceLength + position];
                }
                try (Region region = pool.region()) {
                    ModelCall call = call(region, Phase.CAUSAL);
                    TokenBatch batch = TokenBatches.of(region, rows, lengths);
                    double[] step =
                            backend.readDoubles(model.logits(call, model.rows(call, batch, region.ints(ids), storage)));
                    for (int slot = 0; slot < lengths.size(); slot++) {
                        System.arraycopy(
                                step,
                                slot * vocabulary,
                                logits,
                                (slot * sequenceLength + position) * vocabulary,
                                vocabulary);
                    }
                }
                storage.synchronize();
            }
            return logits;
        }

        private double[] wholeSequences(Phase phase, KvStorage storage, List<List<List<Integer>>> selected) {
            try (Region region = pool.region()) {
                ModelCall call = call(region, phase);
                TokenBatch batch = TokenBatches.ofSequences(region, lengths);
                List<TokenBatch> visits = new ArrayList<>();
                Tensor rows = model.rows(
                        call,
                        batch,
                        region.ints(golden.inputs()),
                        storage,
                        Optional.empty(),
                        (recursion, active) -> visits.add(active));
                double[] logits = backend.readDoubles(model.logits(call, rows));
                visits.forEach(visit -> selected.add(positions(visit)));
                return logits;
            }
        }

        /** The original positions of a visit's rows, per sequence. */
        private List<List<Integer>> positions(TokenBatch visit) {
            int count = visit.extent()
                    .count()
                    .map(counter -> backend.readInts(counter)[0])
                    .orElse(visit.rows());
            int[] sequence = backend.readInts(visit.sequence());
            int[] position = backend.readInts(visit.position());
            List<List<Integer>> positions = new ArrayList<>();
            for (int i = 0; i < lengths.size(); i++) {
                positions.add(new ArrayList<>());
            }
            for (int i = 0; i < count; i++) {
                positions.get(sequence[i]).add(position[i]);
            }
            return positions;
        }

        private List<List<Integer>> depths(List<List<List<Integer>>> selected) {
            List<List<Integer>> depths = new ArrayList<>();
            for (int sequence = 0; sequence < lengths.size(); sequence++) {
                int[] depth = new int[sequenceLength];
                for (List<List<Integer>> recursion : selected) {
                    recursion.get(sequence).forEach(position -> depth[position]++);
                }
                depths.add(Arrays.stream(depth).boxed().toList());
            }
            return depths;
        }

        private double read(Tensor scalar) {
            return backend.readDoubles(scalar)[0];
        }

        private void expect(String what, Object actual, Object expected) {
            worst.put(what, actual.equals(expected) ? 0.0 : 1.0);
            if (!actual.equals(expected)) {
                failures.add(what + " is " + actual + ", expected " + expected);
            }
        }

        private void compareScalar(String kind, String name, double actual, double expected) {
            compare(kind, name, new double[] {actual}, new double[] {expected}, tolerances.losses());
        }

        private void compare(String kind, String name, double[] actual, double[] expected, double tolerance) {
            double difference = difference(actual, expected);
            worst.merge(kind, difference, Math::max);
            if (!(difference <= tolerance)) { // also when it is NaN
                failures.add(name + " differs by " + difference + " of its largest magnitude, more than " + tolerance);
            }
        }

        private double difference(double[] actual, double[] expected) {
            if (actual.length != expected.length) {
                return Double.POSITIVE_INFINITY;
            }
            double largest = 0;
            double most = 0;
            for (int i = 0; i < expected.length; i++) {
                largest = Math.max(largest, Math.abs(expected[i]));
                double difference = Math.abs(actual[i] - expected[i]);
                if (Double.isNaN(difference)) {
                    return Double.NaN;
                }
                most = Math.max(most, difference);
            }
            return largest == 0 ? most : most / largest;
        }
    }
}
