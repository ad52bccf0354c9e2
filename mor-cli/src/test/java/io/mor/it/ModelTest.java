package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.router.baselines.FixedDepthRouter;
import io.mor.router.baselines.FixedDepthRouterConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Section 11 of the specification where it speaks of whole models: tying, equivalences, causality, and gradients of options without a golden case. */
class ModelTest {

    private static final int[] IDS =
            new Random(11).ints(26, 0, TinyModel.VOCABULARY).toArray(); // two sequences of 13
    private static final int[] TARGETS =
            new Random(12).ints(26, 0, TinyModel.VOCABULARY).toArray();
    private static final List<Integer> LENGTHS = List.of(13, 13);

    /** Total loss of a training call; gradients are left in the weights. */
    private static double train(TinyModel tiny) {
        tiny.weights.enableGradients();
        return loss(tiny, Phase.TRAINING);
    }

    private static double loss(TinyModel tiny, Phase phase) {
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, phase, tiny.weights, CallProgress.none(3));
            Tensor rows = tiny.model.rows(
                    call, TokenBatches.ofSequences(region, LENGTHS), region.ints(IDS), tiny.model.stepStorage());
            Tensor crossEntropy = call.ops()
                    .mean(call.ops()
                            .headCrossEntropy(rows, tiny.weights.value(tiny.model.head()), region.ints(TARGETS)));
            Optional<Tensor> weighted = call.weightedLosses();
            Tensor total = weighted.isPresent() ? call.ops().add(crossEntropy, weighted.get()) : crossEntropy;
            if (phase == Phase.TRAINING && !tiny.weights.gradients().isEmpty()) {
                call.tape().backward(total, 1);
            }
            return tiny.backend.readDoubles(total)[0];
        }
    }

    private static double[] logits(TinyModel tiny, Phase phase, int... ids) {
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, phase, tiny.weights, CallProgress.none(3));
            Tensor rows = tiny.model.rows(
                    call, TokenBatches.ofSequences(region, LENGTHS), region.ints(ids), tiny.model.stepStorage());
            return tiny.backend.readDoubles(tiny.model.logits(call, rows));
        }
    }

    private static double[] values(TinyModel tiny, String name) {
        return tiny.backend.readDoubles(tiny.weights.value(parameter(tiny, name)));
    }

    private static Parameter parameter(TinyModel tiny, String name) {
        return tiny.weights.parameters().stream()
                .filter(each -> each.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** Copies every parameter from a model whose layers are mapped otherwise. */
    private static void copyWeights(TinyModel from, TinyModel to) {
        for (Parameter parameter : to.weights.parameters()) {
            String name = parameter.name();
            if (name.startsWith("router.")) {
                continue; // a plain model has none
            }
            if (name.startsWith("layers.")) {
                int layer = to.model.plan().map().indexOf(Integer.valueOf(name.split("\\.")[1]));
                name = name.replaceFirst(
                        "layers\\.\\d+", "layers." + from.model.plan().map().get(layer));
            }
            to.backend.write(to.weights.value(parameter), values(from, name));
        }
    }

    @Test
    void gradientOfASharedWeightIsTheSumOverItsVisits() {
        try (TinyModel shared = TinyModel.of(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache());
                TinyModel unrolled = TinyModel.of(Sharing.NONE, 8, 1, new RecursionWiseCache())) {
            copyWeights(shared, unrolled);
            assertEquals(train(shared), train(unrolled), 1e-12, "the unrolled model computes the same");
            Map<String, double[]> sums = new HashMap<>();
            for (Parameter parameter : unrolled.weights.parameters()) {
                String name = parameter.name();
                if (name.startsWith("layers.")) {
                    int layer = Integer.parseInt(name.split("\\.")[1]);
                    name = name.replaceFirst(
                            "layers\\.\\d+",
                            "layers." + shared.model.plan().map().get(layer));
                }
                double[] gradient = unrolled.backend.readDoubles(unrolled.weights.gradient(parameter));
                sums.merge(
                        name,
                        gradient,
                        (a, b) -> IntStream.range(0, a.length)
                                .mapToDouble(i -> a[i] + b[i])
                                .toArray());
            }
            for (Parameter parameter : shared.weights.parameters()) {
                assertArrayEquals(
                        sums.get(parameter.name()),
                        shared.backend.readDoubles(shared.weights.gradient(parameter)),
                        1e-10,
                        parameter.name());
            }
        }
    }

    @Test
    void aSharedWeightIsThereOnceAndCountsInEveryVisit() {
        try (TinyModel shared = TinyModel.of(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache());
                TinyModel unrolled = TinyModel.of(Sharing.NONE, 8, 1, new RecursionWiseCache())) {
            assertEquals(
                    4,
                    shared.weights.parameters().stream()
                            .filter(each -> each.name().endsWith("mlp.up_proj.weight"))
                            .count(),
                    "own first, two shared, own last");
            copyWeights(shared, unrolled);
            shared.shake("layers.2.mlp.up_proj");
            assertFalse(Arrays.equals(logits(unrolled, Phase.CAUSAL, IDS), logits(shared, Phase.CAUSAL, IDS)));
            copyWeights(shared, unrolled);
            assertArrayEquals(
                    logits(unrolled, Phase.CAUSAL, IDS),
                    logits(shared, Phase.CAUSAL, IDS),
                    1e-12,
                    "it changed in all three places");
        }
    }

    @Test
    void additiveGatingOfEveryTokenIsNotThePlainRecursiveModel() {
        try (TinyModel additive = TinyModel.routed(
                        Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache(), Routing.additiveForAll());
                TinyModel plain = TinyModel.of(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache())) {
            copyWeights(plain, additive);
            double[] doubled = logits(additive, Phase.CAUSAL, IDS);
            double[] once = logits(plain, Phase.CAUSAL, IDS);
            assertFalse(
                    IntStream.range(0, once.length).allMatch(i -> Math.abs(once[i] - doubled[i]) < 1e-3),
                    "it is H + B(H), and B has the residual already");
        }
    }

    @Test
    void oneRecursionIsAVanillaModel() {
        try (TinyModel cycle = TinyModel.of(Sharing.CYCLE, 3, 1, new RecursionWiseCache());
                TinyModel vanilla = TinyModel.of(Sharing.NONE, 3, 1, new RecursionWiseCache())) {
            copyWeights(cycle, vanilla);
            assertArrayEquals(logits(vanilla, Phase.CAUSAL, IDS), logits(cycle, Phase.CAUSAL, IDS));
        }
    }

    @Test
    void everyTokenAtFullDepthIsAPlainRecursiveModel() {
        Routing full = new Routing(
                "fixed-depth", shape -> new FixedDepthRouter(new FixedDepthRouterConfig(0), shape), Optional.empty());
        try (TinyModel routed = TinyModel.routed(Sharing.MIDDLE_CYCLE, 8, 3, new SharedCache(), full);
                TinyModel plain = TinyModel.of(Sharing.MIDDLE_CYCLE, 8, 3, new SharedCache())) {
            copyWeights(routed, plain);
            assertArrayEquals(logits(plain, Phase.CAUSAL, IDS), logits(routed, Phase.CAUSAL, IDS));
        }
    }

    @Test
    void laterTokensChangeNothingEarlierWithACausalSelector() {
        for (Routing routing : Routing.all()) {
            try (TinyModel tiny = TinyModel.routed(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache(), routing)) {
                assertArrayEquals(
                        untilPosition(logits(tiny, Phase.CAUSAL, IDS), 6),
                        untilPosition(logits(tiny, Phase.CAUSAL, changedAfter(6)), 6),
                        routing.name());
            }
        }
    }

    @Test
    void laterTokensDoChangeEarlierSelectionsOverTheFullSequence() {
        try (TinyModel tiny =
                TinyModel.routed(Sharing.MIDDLE_CYCLE, 8, 3, new RecursionWiseCache(), Routing.emaCutoff())) {
            assertFalse(
                    IntStream.range(1, 12)
                            .allMatch(position -> Arrays.equals(
                                    untilPosition(logits(tiny, Phase.FULL_SEQUENCE_EVALUATION, IDS), position),
                                    untilPosition(
                                            logits(tiny, Phase.FULL_SEQUENCE_EVALUATION, changedAfter(position)),
                                            position))),
                    "somewhere a later token must have taken an earlier one's place");
        }
    }

    private static int[] changedAfter(int position) {
        int[] changed = IDS.clone();
        for (int i = 0; i < changed.length; i++) {
            changed[i] = i % 13 > position ? (changed[i] + 5) % TinyModel.VOCABULARY : changed[i];
        }
        return changed;
    }

    /** The logits of the first sequence up to a position. */
    private static double[] untilPosition(double[] logits, int position) {
        return Arrays.copyOf(logits, (position + 1) * TinyModel.VOCABULARY);
    }

    @Test
    void normsOfEachRecursionHaveTheirOwnGradients() {
        try (TinyModel tiny =
                TinyModel.withOwnNorms(Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), Routing.emaCutoff())) {
            assertEquals(
                    3, parameter(tiny, "layers.1.input_layernorm.weight").rows(), "a row of weights per recursion");
            assertEquals(
                    1,
                    parameter(tiny, "layers.0.input_layernorm.weight").rows(),
                    "the own first layer is visited once");
            assertGradientsAreFiniteDifferences(
                    tiny,
                    "layers.1.input_layernorm.weight",
                    "layers.1.post_attention_layernorm.weight",
                    "layers.0.mlp.up_proj.weight");
        }
    }

    @Test
    void gradientsFlowThroughKeysAndValuesSharedByUnsharedLayers() {
        try (TinyModel tiny = TinyModel.withKvSharingGroups(4, 2, new SharedCache())) {
            assertGradientsAreFiniteDifferences(
                    tiny,
                    "layers.0.self_attn.k_proj.weight",
                    "layers.1.self_attn.v_proj.weight",
                    "layers.3.self_attn.q_proj.weight");
            train(tiny);
            assertTrue(
                    Arrays.stream(tiny.backend.readDoubles(
                                    tiny.weights.gradient(parameter(tiny, "layers.2.self_attn.k_proj.weight"))))
                            .allMatch(g -> g == 0),
                    "the second group projects no keys");
        }
    }

    private static void assertGradientsAreFiniteDifferences(TinyModel tiny, String... names) {
        train(tiny);
        Map<String, double[]> gradients = new HashMap<>();
        for (String name : names) {
            gradients.put(name, tiny.backend.readDoubles(tiny.weights.gradient(parameter(tiny, name))));
        }
        for (String name : names) {
            Tensor tensor = tiny.weights.value(parameter(tiny, name));
            double[] values = tiny.backend.readDoubles(tensor);
            Random random = new Random(name.hashCode());
            for (int trial = 0; trial < 8; trial++) {
                int i = random.nextInt(values.length);
                double step = 1e-6;
                double up = lossWith(tiny, tensor, values, i, step);
                double down = lossWith(tiny, tensor, values, i, -step);
                assertEquals((up - down) / (2 * step), gradients.get(name)[i], 1e-6, name + " element " + i);
            }
            tiny.backend.write(tensor, values);
        }
    }

    private static double lossWith(TinyModel tiny, Tensor tensor, double[] values, int index, double change) {
        double[] changed = values.clone();
        changed[index] += change;
        tiny.backend.write(tensor, changed);
        return train(tiny);
    }
}
