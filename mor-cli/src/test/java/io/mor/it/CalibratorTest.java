package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.cache.KvCache;
import io.mor.api.tensor.StateBuffer;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.HybridCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.router.expertchoice.EmaCutoffConfig;
import io.mor.router.expertchoice.EmaCutoffSelector;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.Batch;
import io.mor.runtime.evaluate.Calibration;
import io.mor.runtime.evaluate.Calibrator;
import io.mor.runtime.evaluate.Evaluator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CalibratorTest {

    private static final List<Batch> TEXT = EvaluatorTest.text(11, 29, TinyModel.VOCABULARY, 4);
    private static final int TOKENS = 11 * 29;

    private static TinyModel model(KvCache cache) {
        return TinyModel.routed(Sharing.MIDDLE_CYCLE, 5, 3, cache, Routing.emaCutoff());
    }

    private static double meanDepth(TinyModel tiny) {
        try (Evaluator evaluator = new Evaluator(tiny.model, tiny.weights, Optional.empty())) {
            return evaluator.evaluate(TEXT, false).causal().meanDepth();
        }
    }

    @Test
    void theWantedSharesGoOnToTheToken() {
        for (KvCache cache : List.of(new RecursionWiseCache(), new SharedCache(), new HybridCache())) {
            try (TinyModel tiny = model(cache);
                    Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
                for (List<Double> wanted : List.of(
                        List.of(1.0, 0.5, 0.25),
                        List.of(1.0, 0.9, 0.1),
                        List.of(1.0, 0.03, 0.03),
                        List.of(1.0, 1.0, 1.0))) {
                    Calibration result = calibrator.toCapacities(wanted, TEXT);
                    for (int i = 0; i < 3; i++) {
                        assertEquals(
                                wanted.get(i), result.achieved().get(i), 0.51 / TOKENS, wanted + " gave " + result);
                    }
                    assertEquals(result.meanDepth(), meanDepth(tiny), 1e-12, "evaluation sees the same depths");
                    assertEquals(TOKENS, result.tokens());
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {1, 1.2, 1.7, 2, 2.5, 2.999, 3})
    void anyMeanDepthCanBeSet(double depth) {
        try (TinyModel tiny = model(new RecursionWiseCache());
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            Calibration result = calibrator.toMeanDepth(depth, TEXT);
            assertEquals(depth, result.wantedMeanDepth(), 1e-9);
            assertEquals(depth, result.meanDepth(), 3 * 0.51 / TOKENS, result.toString());
            for (int i = 1; i < 3; i++) {
                assertTrue(result.wanted().get(i) <= result.wanted().get(i - 1), result.toString());
            }
        }
    }

    @Test
    void theTrainedMeanDepthKeepsTheTrainedCapacities() {
        try (TinyModel tiny = model(new RecursionWiseCache());
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            List<Double> wanted = calibrator.toMeanDepth(2, TEXT).wanted();
            assertEquals(1, wanted.get(0));
            assertEquals(2 / 3.0, wanted.get(1), 1e-9);
            assertEquals(1 / 3.0, wanted.get(2), 1e-9);
        }
    }

    @Test
    void aModelTrainedWithoutCapacitiesGetsThemGeometrically() {
        Routing everybody = Routing.expertChoice(
                "ema-cutoff", List.of(1.0, 1.0, 1.0), shape -> new EmaCutoffSelector(new EmaCutoffConfig(0.99), shape));
        try (TinyModel tiny = TinyModel.routed(Sharing.CYCLE, 3, 3, new RecursionWiseCache(), everybody);
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            List<Double> wanted = calibrator.toMeanDepth(1.75, TEXT).wanted();
            assertEquals(wanted.get(1) * wanted.get(1), wanted.get(2), 1e-9);
            assertEquals(0.5, wanted.get(1), 1e-9, "1 + 1/2 + 1/4");
        }
    }

    @Test
    void recursionsThatTookEverybodyGiveWayWhenTheDepthAsksForIt() {
        Routing late = Routing.expertChoice(
                "ema-cutoff", List.of(1.0, 1.0, 0.5), shape -> new EmaCutoffSelector(new EmaCutoffConfig(0.99), shape));
        try (TinyModel tiny = TinyModel.routed(Sharing.CYCLE, 3, 3, new RecursionWiseCache(), late);
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            assertEquals(1.5, calibrator.toMeanDepth(1.5, TEXT).meanDepth(), 3 * 0.51 / TOKENS);
        }
    }

    @Test
    void aCalibrationThatFailsLeavesTheOldCutoffs() {
        try (TinyModel tiny = model(new RecursionWiseCache());
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            List<Double> cutoffs = calibrator.toMeanDepth(1.5, TEXT).cutoffs();
            EvaluatorTest.assertTells(UsageException.class, () -> calibrator.toMeanDepth(2, List.of()), "no text");
            EvaluatorTest.assertTells(
                    UsageException.class,
                    () -> calibrator.toMeanDepth(2, EvaluatorTest.text(1, 42, 5, 1)),
                    "context of 41");
            tiny.backend.fill(tiny.weights.value(tiny.weights.parameters().getFirst()), Double.NaN);
            EvaluatorTest.assertTells(
                    MorException.class, () -> calibrator.toMeanDepth(2, TEXT), "score at recursion 2 is NaN");
            StateBuffer buffer = tiny.model.selector().orElseThrow().cutoffs().orElseThrow();
            double[] after = tiny.backend.readDoubles(tiny.weights.value(buffer));
            for (int i = 0; i < 3; i++) {
                assertEquals(cutoffs.get(i), after[i]);
            }
        }
    }

    @Test
    void whatCannotBeCalibratedIsToldWithItsRemedy() {
        try (TinyModel tiny = model(new RecursionWiseCache());
                Calibrator calibrator = new Calibrator(tiny.model, tiny.weights)) {
            EvaluatorTest.assertTells(
                    UsageException.class,
                    () -> calibrator.toCapacities(List.of(1.0, 0.5), TEXT),
                    "2 entries",
                    "3 recursions");
            EvaluatorTest.assertTells(
                    UsageException.class, () -> calibrator.toCapacities(List.of(0.9, 0.5, 0.2), TEXT), "begin with 1");
            EvaluatorTest.assertTells(
                    UsageException.class,
                    () -> calibrator.toCapacities(List.of(1.0, 0.5, 0.6), TEXT),
                    "increases from 0.5 to 0.6");
            EvaluatorTest.assertTells(
                    UsageException.class, () -> calibrator.toCapacities(List.of(1.0, 0.5, 0.0), TEXT), "0.0 in");
            EvaluatorTest.assertTells(
                    UsageException.class,
                    () -> calibrator.toMeanDepth(3.1, TEXT),
                    "3.1 is not between 1 and the model's 3");
            EvaluatorTest.assertTells(UsageException.class, () -> calibrator.toMeanDepth(Double.NaN, TEXT), "NaN");
        }
        try (TinyModel tiny = TinyModel.routed(
                Sharing.CYCLE, 3, 3, new RecursionWiseCache(), Routing.all().getFirst())) {
            EvaluatorTest.assertTells(
                    UsageException.class, () -> new Calibrator(tiny.model, tiny.weights), "no cut-offs", "ema-cutoff");
        }
        try (TinyModel tiny = TinyModel.vanilla()) {
            EvaluatorTest.assertTells(
                    UsageException.class,
                    () -> new Calibrator(tiny.model, tiny.weights),
                    "asks for no selector",
                    "expert-choice");
        }
    }

    @Test
    void theTableShowsWantedAndAchieved() {
        Calibration calibration = new Calibration(List.of(1.0, 0.5), List.of(1.0, 0.48), List.of(0.0, 0.25), 100);
        assertEquals("""
        recursion     wanted   achieved    cut-off
                1    100.00%    100.00%           -
                2     50.00%     48.00%     0.25000
        mean depth 1.480 of 1.500 wanted, on 100 tokens
        """, calibration.table());
    }
}
