package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.Phase;
import io.mor.api.tensor.RandomKey;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.router.baselines.FixedDepthRouter;
import io.mor.router.baselines.FixedDepthRouterConfig;
import io.mor.router.expertchoice.LogitThresholdSelector;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.Batch;
import io.mor.runtime.data.ByteTokenizer;
import io.mor.runtime.data.TokenBytes;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.evaluate.Evaluator;
import io.mor.runtime.evaluate.SelectionFigures;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class EvaluatorTest {

    private static final int CONTEXT = 23;

    /** Random rows of ids below a vocabulary, cut into batches. */
    static List<Batch> text(int rows, int context, int vocabulary, int rowsPerBatch) {
        RandomKey key = RandomKey.of(17, "test text", 0);
        List<Batch> batches = new ArrayList<>();
        for (int first = 0; first < rows; first += rowsPerBatch) {
            int from = first;
            int count = Math.min(rowsPerBatch, rows - first);
            int[] inputs = IntStream.range(0, count * context)
                    .map(i -> (int) (vocabulary * key.uniform(from + i / context, i % context)))
                    .toArray();
            int[] targets = IntStream.range(0, inputs.length)
                    .map(i -> i % context + 1 < context ? inputs[i + 1] : (from + i / context) % vocabulary)
                    .toArray();
            batches.add(new Batch(count, context, inputs, targets));
        }
        return batches;
    }

    private static Evaluator evaluator(TinyModel tiny) {
        return new Evaluator(tiny.model, tiny.weights, Optional.empty());
    }

    private static TinyModel routed(Routing routing) {
        return TinyModel.routed(Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing);
    }

    static Stream<Named<Routing>> routings() {
        return Routing.all().stream().map(routing -> Named.of(routing.name(), routing));
    }

    /** The mean loss from all logits. */
    private static double loss(TinyModel tiny, Phase phase, List<Batch> text) {
        double nats = 0;
        int tokens = 0;
        for (Batch batch : text) {
            try (MemoryPool pool = new MemoryPool(tiny.backend);
                    Region region = pool.region()) {
                ModelCall call = tiny.model.call(region, phase, tiny.weights, CallProgress.none(0));
                double[] logits = tiny.backend.readDoubles(tiny.model.logits(
                        call,
                        tiny.model.rows(
                                call,
                                TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context())),
                                region.ints(batch.inputs()),
                                tiny.model.stepStorage())));
                int vocabulary = tiny.model.shape().vocabulary();
                for (int i = 0; i < batch.inputs().length; i++) {
                    double[] row = Arrays.copyOfRange(logits, i * vocabulary, (i + 1) * vocabulary);
                    nats += Math.log(Arrays.stream(row).map(Math::exp).sum()) - row[batch.targets()[i]];
                }
                tokens += batch.inputs().length;
            }
        }
        return nats / tokens;
    }

    @ParameterizedTest
    @MethodSource("routings")
    void lossesAreThoseOfAllLogitsForBothSelections(Routing routing) {
        try (TinyModel tiny = routed(routing);
                Evaluator evaluator = evaluator(tiny)) {
            List<Batch> text = text(5, CONTEXT, TinyModel.VOCABULARY, 2);
            EvaluationReport report = evaluator.evaluate(text, true);
            assertEquals(loss(tiny, Phase.CAUSAL, text), report.causal().loss(), 1e-12);
            assertEquals(
                    loss(tiny, Phase.FULL_SEQUENCE_EVALUATION, text),
                    report.fullSequence().orElseThrow().loss(),
                    1e-12);
            assertEquals(Math.exp(report.causal().loss()), report.causal().perplexity());
            assertEquals(5 * CONTEXT, report.tokens());
            assertEquals(5, report.rows());
            assertEquals(
                    1,
                    report.causal().depthShares().stream()
                            .mapToDouble(share -> share)
                            .sum(),
                    1e-12);
            assertEquals(OptionalDouble.empty(), report.causal().bitsPerByte());
        }
    }

    @Test
    void howTheRowsAreCutIntoBatchesChangesNothing() {
        try (TinyModel tiny = routed(Routing.all().getFirst());
                Evaluator evaluator = evaluator(tiny)) {
            EvaluationReport one = evaluator.evaluate(text(5, CONTEXT, TinyModel.VOCABULARY, 1), true);
            EvaluationReport all = evaluator.evaluate(text(5, CONTEXT, TinyModel.VOCABULARY, 5), true);
            assertEquals(one.causal().loss(), all.causal().loss(), 1e-12);
            assertEquals(one.causal().depthShares(), all.causal().depthShares());
            assertEquals(one.causal().deadTokenRatio(), all.causal().deadTokenRatio());
            assertEquals(
                    one.fullSequence().orElseThrow().loss(),
                    all.fullSequence().orElseThrow().loss(),
                    1e-12);
            assertEquals(one.samplingAccuracy(), all.samplingAccuracy());
        }
    }

    @Test
    void fullSequenceSelectionTakesExactlyTheCapacities() {
        try (TinyModel tiny = routed(Routing.all().getFirst());
                Evaluator evaluator = evaluator(tiny)) {
            EvaluationReport report = evaluator.evaluate(text(4, CONTEXT, TinyModel.VOCABULARY, 3), true);
            SelectionFigures full = report.fullSequence().orElseThrow();
            // capacities 1, 2/3 and 1/3 of 23 tokens: 23, 15 and 7
            assertEquals(List.of(0.0, 8.0 / 23, 8.0 / 23, 7.0 / 23), full.depthShares());
            assertEquals((8 + 2 * 8 + 3 * 7) / 23.0, full.meanDepth(), 1e-12);
            assertEquals(15.0 / 23, full.shareOfRecursion(2), 1e-12);
            assertEquals((8.0 / 23 - 1.0 / 3) / (1.0 / 3), full.maxVio(), 1e-12);
            assertTrue(
                    report.causal().depthShares().get(1) > 0.05
                            && report.causal().depthShares().get(3) > 0.05,
                    "the test's depths differ: " + report.causal());
        }
    }

    @Test
    void samplingAccuracyIsTheRoutersOwnWhereTheSelectorIsItsThreshold() {
        try (TinyModel tiny = routed(
                        Routing.expertChoice("logit-threshold", List.of(), shape -> new LogitThresholdSelector()));
                Evaluator evaluator = evaluator(tiny)) {
            EvaluationReport report = evaluator.evaluate(text(3, CONTEXT, TinyModel.VOCABULARY, 3), true);
            SelectionFigures full = report.fullSequence().orElseThrow();
            assertEquals(List.of(1, 2, 3), List.copyOf(report.samplingAccuracy().keySet()));
            assertEquals(1, report.samplingAccuracy().get(1), "recursion 1 takes all by both rules");
            for (int recursion = 2; recursion <= 3; recursion++) {
                double accuracy = report.samplingAccuracy().get(recursion);
                assertTrue(accuracy > 0.05 && accuracy < 0.99, "an untrained router agrees at times: " + accuracy);
                assertEquals(full.routerFigures().get("sampling-accuracy-" + recursion), accuracy, 1e-12);
            }
            assertEquals(
                    (1
                                    + report.samplingAccuracy().get(2)
                                    + report.samplingAccuracy().get(3))
                            / 3,
                    report.meanSamplingAccuracy().orElseThrow(),
                    1e-12);
        }
    }

    @Test
    void whatTheRouterReportsIsPassedOn() {
        try (TinyModel tiny = routed(Routing.tokenChoice());
                Evaluator evaluator = evaluator(tiny)) {
            List<Batch> text = text(2, CONTEXT, TinyModel.VOCABULARY, 1);
            SelectionFigures both =
                    evaluator.evaluate(text, true).fullSequence().orElseThrow();
            double first = evaluator
                    .evaluate(text.subList(0, 1), true)
                    .fullSequence()
                    .orElseThrow()
                    .routerFigures()
                    .get("balancing-loss");
            double second = evaluator
                    .evaluate(text.subList(1, 2), true)
                    .fullSequence()
                    .orElseThrow()
                    .routerFigures()
                    .get("balancing-loss");
            assertTrue(first != second, "the calls differ");
            assertEquals((first + second) / 2, both.routerFigures().get("balancing-loss"), 1e-12);
        }
    }

    @Test
    void aPerfectPositionBiasLeavesTheOtherPositionsDead() {
        Routing biased = new Routing("position", PositionRouter::new, Optional.empty());
        try (TinyModel tiny = routed(biased);
                Evaluator evaluator = evaluator(tiny)) {
            SelectionFigures causal = evaluator
                    .evaluate(text(4, 24, TinyModel.VOCABULARY, 3), false)
                    .causal();
            assertEquals(2.0 / 3, causal.deadTokenRatio(), 1e-12);
            assertEquals(0, causal.maxVio(), 1e-12);
            assertEquals(Math.log(3), causal.depthEntropy(), 1e-12);
            assertEquals(2, causal.meanDepth(), 1e-12);
        }
    }

    @Test
    void oneDepthForAllIsTheWorstBalance() {
        for (int depth = 1; depth <= 3; depth++) {
            int fixed = depth;
            Routing routing = new Routing(
                    "fixed", shape -> new FixedDepthRouter(new FixedDepthRouterConfig(fixed), shape), Optional.empty());
            try (TinyModel tiny = routed(routing);
                    Evaluator evaluator = evaluator(tiny)) {
                SelectionFigures causal = evaluator
                        .evaluate(text(2, CONTEXT, TinyModel.VOCABULARY, 2), false)
                        .causal();
                assertEquals(depth, causal.meanDepth(), 1e-12);
                assertEquals(depth == 3 ? 0 : 1, causal.deadTokenRatio());
                assertEquals(2, causal.maxVio(), 1e-12);
                assertEquals(0, causal.depthEntropy());
            }
        }
    }

    @Test
    void bitsPerByteCountTheBytesOfTheTargets() {
        ByteTokenizer tokenizer = new ByteTokenizer(new ByteTokenizer.Config(true));
        try (TinyModel tiny = TinyModel.ofVocabulary(257);
                Evaluator evaluator = new Evaluator(tiny.model, tiny.weights, Optional.of(new TokenBytes(tokenizer)))) {
            Batch batch = new Batch(2, 3, new int[] {1, 2, 3, 4, 5, 6}, new int[] {2, 256, 4, 5, 6, 256});
            SelectionFigures causal = evaluator.evaluate(List.of(batch), false).causal();
            assertEquals(
                    causal.loss() * 6 / Math.log(2) / 4,
                    causal.bitsPerByte().orElseThrow(),
                    1e-12,
                    "an end of text has no bytes");
        }
    }

    @Test
    void aModelWithoutRoutingHasOneSelection() {
        try (TinyModel tiny = TinyModel.vanilla();
                Evaluator evaluator = evaluator(tiny)) {
            EvaluationReport report = evaluator.evaluate(text(2, CONTEXT, TinyModel.VOCABULARY, 2), true);
            assertEquals(Optional.empty(), report.fullSequence());
            assertEquals(List.of(0.0, 1.0), report.causal().depthShares());
            assertFalse(report.table().contains("depth"), report.table());
            assertEquals(
                    List.of("validation-loss", "validation-perplexity"),
                    List.copyOf(report.figures().keySet()));
        }
    }

    @Test
    void theTableMarksTheSelectionThatIsNotCausal() {
        try (TinyModel tiny = routed(Routing.all().getFirst());
                Evaluator evaluator = evaluator(tiny)) {
            EvaluationReport report = evaluator.evaluate(text(2, CONTEXT, TinyModel.VOCABULARY, 2), true);
            List<String> lines = report.table().lines().toList();
            assertTrue(lines.getFirst().matches("selection +causal +full-sequence \\(not causal\\)"), report.table());
            assertTrue(lines.get(1).matches("loss, nats/token +\\d+\\.\\d{4} +\\d+\\.\\d{4}"), report.table());
            assertTrue(report.table().contains("of (Nr+1)/2 = 2.0"), report.table());
            assertTrue(
                    report.figures().containsKey("validation-loss-full-sequence"),
                    report.figures().toString());
            assertTrue(
                    report.figures().containsKey("validation-depth-share-3"),
                    report.figures().toString());
        }
    }

    @Test
    void evaluatingLeavesBuffersAloneAndGivesItsMemoryBack() {
        try (TinyModel tiny = TinyModel.routed(
                new ReferenceBackend(), Sharing.CYCLE, 3, 3, new RecursionWiseCache(), Routing.emaCutoff())) {
            List<double[]> before = tiny.weights.buffers().stream()
                    .map(buffer -> tiny.backend.readDoubles(tiny.weights.value(buffer)))
                    .toList();
            try (Evaluator evaluator = evaluator(tiny)) {
                evaluator.evaluate(text(2, 11, TinyModel.VOCABULARY, 2), true);
            }
            for (int i = 0; i < before.size(); i++) {
                assertEquals(
                        Arrays.toString(before.get(i)),
                        Arrays.toString(tiny.backend.readDoubles(
                                tiny.weights.value(tiny.weights.buffers().get(i)))));
            }
        }
    }

    @Test
    void whatCannotBeEvaluatedIsToldWithItsRemedy() {
        Routing complete = Routing.emaCutoff();
        try (TinyModel tiny = routed(new Routing("no selector", complete.router(), Optional.empty()))) {
            assertTells(UsageException.class, () -> evaluator(tiny), "needs a causal selector", "ema-cutoff");
        }
        try (TinyModel tiny = TinyModel.vanilla();
                Evaluator evaluator = evaluator(tiny)) {
            assertTells(
                    UsageException.class, () -> evaluator.evaluate(List.of(), false), "no text", "not even one row");
            assertTells(
                    UsageException.class,
                    () -> evaluator.evaluate(text(1, TinyModel.CONTEXT + 1, 5, 1), false),
                    "rows of 42 tokens",
                    "context of 41");
            tiny.backend.fill(tiny.weights.value(tiny.model.head()), Double.NaN);
            assertTells(
                    MorException.class,
                    () -> evaluator.evaluate(text(1, 5, 5, 1), false),
                    "token 0 of row 0 is NaN",
                    "earlier checkpoint");
        }
    }

    static void assertTells(Class<? extends RuntimeException> type, Runnable action, String... parts) {
        String message = assertThrows(type, action::run).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), message);
        }
    }
}
