package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.cache.KvView;
import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cpu.CpuBackend;
import io.mor.backend.cpu.CpuConfig;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.block.llama.Adapter;
import io.mor.block.llama.AdapterStart;
import io.mor.block.llama.LlamaBlock;
import io.mor.block.llama.LlamaConfig;
import io.mor.block.llama.Projection;
import io.mor.block.llama.RelaxationConfig;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Uptraining;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What may differ from recursion to recursion (spec 1.5), and models that start from trained ones (spec 1.4). */
class RelaxationTest {

    private static final int[] IDS =
            new Random(11).ints(26, 0, TinyModel.VOCABULARY).toArray(); // two sequences of 13
    private static final int[] TARGETS =
            new Random(12).ints(26, 0, TinyModel.VOCABULARY).toArray();
    private static final List<Integer> LENGTHS = List.of(13, 13);

    /** All relaxations at once. */
    static RelaxationConfig everything(Adapter adapter, boolean skipFirstLoop) {
        return new RelaxationConfig(
                adapter, 3, 6, 0, List.of(Projection.values()), AdapterStart.ZERO, 5, true, skipFirstLoop);
    }

    private static RelaxationConfig adapters(Adapter adapter, int rank, AdapterStart start) {
        return new RelaxationConfig(adapter, rank, 2.0 * rank, 0, List.of(Projection.values()), start, 0, false, false);
    }

    private static TinyModel relaxed(RelaxationConfig relaxation, Sharing sharing, int layers, int recursions) {
        return TinyModel.relaxed(
                new ReferenceBackend(),
                relaxation,
                sharing,
                layers,
                recursions,
                new RecursionWiseCache(),
                Optional.empty());
    }

    private static double[] logits(TinyModel tiny) {
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.CAUSAL, tiny.weights, CallProgress.none(3));
            Tensor rows = tiny.model.rows(
                    call, TokenBatches.ofSequences(region, LENGTHS), region.ints(IDS), tiny.model.stepStorage());
            return tiny.backend.readDoubles(tiny.model.logits(call, rows));
        }
    }

    private static double loss(TinyModel tiny) {
        tiny.weights.zeroGradients();
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.TRAINING, tiny.weights, CallProgress.none(3));
            Tensor rows = tiny.model.rows(
                    call, TokenBatches.ofSequences(region, LENGTHS), region.ints(IDS), tiny.model.stepStorage());
            Tensor loss = call.ops()
                    .mean(call.ops()
                            .headCrossEntropy(rows, tiny.weights.value(tiny.model.head()), region.ints(TARGETS)));
            call.tape().backward(loss, 1);
            return tiny.backend.readDoubles(loss)[0];
        }
    }

    @ParameterizedTest
    @EnumSource(Adapter.class)
    void aModelStartsAsItWouldWithoutRelaxation(Adapter adapter) {
        try (TinyModel plain = relaxed(RelaxationConfig.NONE, Sharing.MIDDLE_CYCLE, 8, 3);
                TinyModel relaxed = relaxed(everything(adapter, false), Sharing.MIDDLE_CYCLE, 8, 3)) {
            assertArrayEquals(logits(plain), logits(relaxed), 1e-12);
            relaxed.shake("lora_b");
            relaxed.shake("prefix.gate");
            relaxed.shake("recursion_encoding");
            double[] moved = logits(relaxed);
            double[] before = logits(plain);
            assertTrue(
                    IntStream.range(0, moved.length).anyMatch(i -> Math.abs(moved[i] - before[i]) > 1e-3),
                    "what is trained counts");
        }
    }

    @ParameterizedTest
    @EnumSource(Adapter.class)
    void gradientsAreFiniteDifferences(Adapter adapter) {
        try (TinyModel tiny = relaxed(everything(adapter, adapter == Adapter.LORA), Sharing.MIDDLE_CYCLE, 5, 3)) {
            tiny.shake(".");
            tiny.weights.enableGradients();
            loss(tiny);
            Map<String, double[]> gradients = new HashMap<>();
            for (Parameter parameter : tiny.weights.parameters()) {
                gradients.put(parameter.name(), tiny.backend.readDoubles(tiny.weights.gradient(parameter)));
            }
            int checked = 0;
            for (Parameter parameter : tiny.weights.parameters()) {
                boolean own = parameter.name().matches(".*(lora|magnitude|prefix|encoding).*");
                if (own || parameter.name().startsWith("layers.1.self_attn")) {
                    Tensor tensor = tiny.weights.value(parameter);
                    double[] values = tiny.backend.readDoubles(tensor);
                    Random random = new Random(parameter.name().hashCode());
                    for (int trial = 0; trial < 2; trial++) {
                        int i = random.nextInt(values.length);
                        double slope =
                                (lossWith(tiny, tensor, values, i, 1e-6) - lossWith(tiny, tensor, values, i, -1e-6))
                                        / 2e-6;
                        assertEquals(
                                slope, gradients.get(parameter.name())[i], 2e-6, parameter.name() + " element " + i);
                        checked++;
                    }
                    tiny.backend.write(tensor, values);
                }
            }
            assertTrue(checked >= 20, checked + " elements");
        }
    }

    private static double lossWith(TinyModel tiny, Tensor tensor, double[] values, int index, double change) {
        double[] changed = values.clone();
        changed[index] += change;
        tiny.backend.write(tensor, changed);
        return loss(tiny);
    }

    @Test
    void recursionOneStaysAsItIsWithSkipFirstLoop() {
        try (TinyModel tiny = relaxed(everything(Adapter.DORA, true), Sharing.MIDDLE_CYCLE, 8, 3)) {
            List<String> names =
                    tiny.weights.parameters().stream().map(Parameter::name).toList();
            assertFalse(names.stream().anyMatch(name -> name.matches(".*layers\\.[1-2].*\\.1\\.(lora|magnitude).*")));
            assertTrue(names.contains("layers.1.self_attn.q_proj.2.lora_a.weight"), names::toString);
            assertTrue(names.contains("layers.2.mlp.down_proj.3.magnitude"), names::toString);
            assertFalse(names.contains("layers.1.prefix.1.weight"));
            assertEquals(
                    2,
                    tiny.weights.parameters().stream()
                            .filter(parameter -> parameter.name().equals("layers.2.recursion_encoding.weight"))
                            .findFirst()
                            .orElseThrow()
                            .rows(),
                    "vectors of recursions 2 and 3, on the last layer of the block");
        }
        try (TinyModel tiny = relaxed(everything(Adapter.LORA, false), Sharing.SEQUENCE, 6, 3)) {
            assertEquals(
                    2,
                    tiny.weights.parameters().stream()
                            .filter(parameter -> parameter.name().endsWith("recursion_encoding.weight"))
                            .count(),
                    "in sequence modes every layer is a pass");
        }
    }

    @Test
    void theDefaultsAddNoParameters() {
        try (TinyModel plain = TinyModel.of(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache());
                TinyModel none = relaxed(RelaxationConfig.NONE, Sharing.MIDDLE_CYCLE, 8, 3)) {
            assertEquals(plain.weights.parameters(), none.weights.parameters());
        }
    }

    @Test
    void aRowOfAMixedBatchHasTheBitsOfARowAmongItsOwnRecursion() {
        for (boolean known : List.of(true, false)) {
            for (Backend backend : List.of(new ReferenceBackend(), new CpuBackend(new CpuConfig(1)))) {
                try (TinyModel tiny = TinyModel.relaxed(
                        backend,
                        everything(Adapter.DORA, true),
                        Sharing.CYCLE,
                        3,
                        3,
                        new RecursionWiseCache(),
                        Optional.empty())) {
                    tiny.shake(".");
                    int[] recursions = {1, 1, 2, 3, 3};
                    double[] mixed = blockOutput(tiny, recursions, 0, recursions.length, known);
                    for (int row = 0; row < recursions.length; row++) {
                        assertArrayEquals(
                                Arrays.copyOfRange(mixed, row * 12, (row + 1) * 12),
                                blockOutput(tiny, recursions, row, row + 1, true),
                                "row " + row);
                    }
                }
            }
        }
    }

    /** The block on some of five rows; attention lets queries through, since rows of several recursions need storage. */
    private static double[] blockOutput(TinyModel tiny, int[] recursions, int from, int to, boolean segmentsKnown) {
        LlamaBlock block = new LlamaBlock(
                new LlamaConfig(everything(Adapter.DORA, true)), tiny.model.shape(), new BlockPlacement(0, 1, 3));
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.CAUSAL, tiny.weights, CallProgress.none(3));
            List<TokenRow> rows = IntStream.range(from, to)
                    .mapToObj(i -> new TokenRow(i, 7 + i, recursions[i]))
                    .toList();
            TokenBatch batch =
                    TokenBatches.of(region, rows, rows.stream().map(row -> 20).toList());
            List<RecursionSegment> segments = segmentsKnown ? batch.segments() : List.of();
            TokenBatch told = new TokenBatch(
                    batch.extent(),
                    batch.sequence(),
                    batch.position(),
                    batch.recursion(),
                    batch.entryRow(),
                    batch.groupOffsets(),
                    batch.groups(),
                    segments,
                    batch.sequenceLengths());
            Tensor x = region.allocate(Extent.exact(to - from), 12);
            double[] values = new Random(8).doubles(60, -1, 1).toArray();
            tiny.backend.write(x, Arrays.copyOfRange(values, from * 12, to * 12));
            return tiny.backend.readDoubles(block.apply(call, told, x, layer -> new KvView() {
                @Override
                public boolean projects() {
                    return true;
                }

                @Override
                public Tensor attend(
                        AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values) {
                    return queries;
                }
            }));
        }
    }

    // ---- starting from a trained model

    private static Uptraining.Source weightsOf(TinyModel tiny) {
        return name -> tiny.weights.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .map(parameter -> tiny.backend.readDoubles(tiny.weights.value(parameter)));
    }

    private static TinyModel full(int layers) {
        TinyModel full = TinyModel.of(Sharing.NONE, layers, 1, new RecursionWiseCache());
        full.shake("proj");
        full.shake("embed");
        return full;
    }

    private static List<String> start(TinyModel tiny, TinyModel full, Initialization rule) {
        return Uptraining.start(tiny.model, tiny.weights, full.model.plan(), rule, 5, weightsOf(full));
    }

    @ParameterizedTest
    @EnumSource(
            value = Initialization.class,
            names = {"STEPWISE", "LOWER", "UPPER", "AVERAGE"})
    void sharedLayersStartFromTheLayersThatTheRulePicks(Initialization rule) {
        try (TinyModel full = full(8);
                TinyModel tiny = relaxed(RelaxationConfig.NONE, Sharing.MIDDLE_CYCLE, 8, 3)) {
            assertEquals(List.of(), start(tiny, full, rule));
            List<List<Integer>> expected = switch (rule) {
                case STEPWISE -> List.of(List.of(0), List.of(1), List.of(6), List.of(7));
                case LOWER -> List.of(List.of(0), List.of(1), List.of(2), List.of(7));
                case UPPER -> List.of(List.of(0), List.of(5), List.of(6), List.of(7));
                default -> List.of(List.of(0), List.of(1, 3, 5), List.of(2, 4, 6), List.of(7));
            };
            for (int layer = 0; layer < expected.size(); layer++) {
                String name = "layers." + layer + ".mlp.up_proj.weight";
                double[] sum = new double[18 * 12];
                List<Integer> picked = expected.get(layer);
                for (int from : picked) {
                    double[] values = weightsOf(full)
                            .values("layers." + from + ".mlp.up_proj.weight")
                            .orElseThrow();
                    Arrays.setAll(sum, i -> sum[i] + values[i] / picked.size());
                }
                assertArrayEquals(sum, weightsOf(tiny).values(name).orElseThrow(), 1e-15, name);
            }
            assertArrayEquals(
                    weightsOf(full).values("embed.weight").orElseThrow(),
                    weightsOf(tiny).values("embed.weight").orElseThrow());
        }
    }

    @Test
    void aReducedModelKeepsTheFirstLayersOrEveryFew() {
        try (TinyModel full = full(6);
                TinyModel cycle = relaxed(RelaxationConfig.NONE, Sharing.CYCLE, 3, 1);
                TinyModel averaged = relaxed(RelaxationConfig.NONE, Sharing.SEQUENCE, 3, 1)) {
            start(cycle, full, Initialization.LOWER);
            start(averaged, full, Initialization.AVERAGE);
            String name = ".mlp.gate_proj.weight";
            for (int layer = 0; layer < 3; layer++) {
                assertArrayEquals(
                        weightsOf(full).values("layers." + layer + name).orElseThrow(),
                        weightsOf(cycle).values("layers." + layer + name).orElseThrow());
                double[] first =
                        weightsOf(full).values("layers." + 2 * layer + name).orElseThrow();
                double[] second = weightsOf(full)
                        .values("layers." + (2 * layer + 1) + name)
                        .orElseThrow();
                double[] mean = new double[first.length];
                Arrays.setAll(mean, i -> (first[i] + second[i]) / 2);
                assertArrayEquals(
                        mean,
                        weightsOf(averaged).values("layers." + layer + name).orElseThrow(),
                        1e-15);
            }
        }
    }

    @Test
    void adaptersOfFullRankFromASingularValueDecompositionGiveTheFullModelBack() {
        for (Adapter adapter : List.of(Adapter.LORA, Adapter.DORA)) {
            try (TinyModel full = full(6);
                    TinyModel tiny = relaxed(adapters(adapter, 18, AdapterStart.SVD), Sharing.CYCLE, 6, 3)) {
                start(tiny, full, Initialization.AVERAGE);
                assertArrayEquals(logits(full), logits(tiny), 1e-9, adapter + ": scale undone, every difference there");
            }
        }
    }

    @Test
    void adaptersOfLowRankStartCloserToTheFullModelsWeightsThanTheSharedOnesAre() {
        try (TinyModel full = full(6);
                TinyModel none = relaxed(RelaxationConfig.NONE, Sharing.CYCLE, 6, 3);
                TinyModel zero = relaxed(adapters(Adapter.LORA, 6, AdapterStart.ZERO), Sharing.CYCLE, 6, 3);
                TinyModel svd = relaxed(adapters(Adapter.LORA, 6, AdapterStart.SVD), Sharing.CYCLE, 6, 3)) {
            start(none, full, Initialization.AVERAGE);
            List<String> fresh = start(zero, full, Initialization.AVERAGE);
            assertTrue(fresh.contains("layers.0.self_attn.q_proj.1.lora_a.weight"), fresh::toString);
            start(svd, full, Initialization.AVERAGE);
            assertArrayEquals(logits(none), logits(zero), 1e-12);
            String layer = "layers.0.mlp.up_proj";
            double[] shared = weightsOf(svd).values(layer + ".weight").orElseThrow(); // [18, 12]
            double[] wanted =
                    weightsOf(full).values("layers.2.mlp.up_proj.weight").orElseThrow(); // at recursion 2
            double[] down = weightsOf(svd).values(layer + ".2.lora_a.weight").orElseThrow(); // [6, 12]
            double[] up = weightsOf(svd).values(layer + ".2.lora_b.weight").orElseThrow(); // [18, 6]
            double[] sum = shared.clone();
            for (int i = 0; i < sum.length; i++) {
                for (int k = 0; k < 6; k++) {
                    sum[i] += 2 * up[i / 12 * 6 + k] * down[k * 12 + i % 12];
                }
            }
            assertTrue(distance(sum, wanted) < 0.6 * distance(shared, wanted));
        }
    }

    private static double distance(double[] a, double[] b) {
        return Math.sqrt(IntStream.range(0, a.length)
                .mapToDouble(i -> (a[i] - b[i]) * (a[i] - b[i]))
                .sum());
    }

    @Test
    void normsOfEachRecursionStartFromTheOneOfTheFullModel() {
        try (TinyModel full = full(5);
                TinyModel tiny = TinyModel.withOwnNorms(
                        Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), Routing.emaCutoff())) {
            full.shake("norm");
            List<String> fresh = start(tiny, full, Initialization.STEPWISE);
            assertTrue(fresh.stream().allMatch(name -> name.startsWith("router.")), fresh::toString);
            double[] own =
                    weightsOf(full).values("layers.1.input_layernorm.weight").orElseThrow();
            double[] all =
                    weightsOf(tiny).values("layers.1.input_layernorm.weight").orElseThrow();
            for (int i = 0; i < all.length; i++) {
                assertEquals(own[i % own.length], all[i]);
            }
        }
    }

    @Test
    void aModelOfAnotherShapeOrSharingIsRefusedWithARemedy() {
        try (TinyModel full = full(4);
                TinyModel cycle = relaxed(RelaxationConfig.NONE, Sharing.CYCLE, 6, 3);
                TinyModel deep = relaxed(RelaxationConfig.NONE, Sharing.CYCLE, 18, 3);
                TinyModel wide = TinyModel.ofVocabulary(TinyModel.VOCABULARY + 1)) {
            assertRefused("in another way", () -> start(full, cycle, Initialization.STEPWISE));
            assertRefused("has 4 layers and this one needs 6", () -> start(deep, full, Initialization.STEPWISE));
            assertRefused("vocabulary must be the same", () -> start(cycle, wide, Initialization.STEPWISE));
            assertRefused(
                    "does not divide into groups",
                    () -> start(relaxed(RelaxationConfig.NONE, Sharing.CYCLE, 9, 3), full(7), Initialization.AVERAGE));
        }
    }

    private static void assertRefused(String part, Executable what) {
        UsageException refused = assertThrows(UsageException.class, what);
        assertTrue(refused.getMessage().contains(part), refused.getMessage());
    }
}
