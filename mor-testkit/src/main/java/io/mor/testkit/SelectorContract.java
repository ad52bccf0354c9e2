package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.StateBuffer;
import io.mor.testkit.SelectorBench.Question;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every causal rule of selection promises (spec 2.7), in double precision. */
public abstract class SelectorContract {

    private static final double[] SCORES = {0.7, -0.2, 0, 1.5, -3, 0.01, -0.01, 2, 0.4, -0.6, 0.3};
    private static final double[] PREDICTIONS = {-1, 0.2, 0, -0.5, 3, -0.01, 0.01, -2, 0.9, 0.6, -0.3};
    private static final List<Integer> LENGTHS = List.of(11);

    private Backend backend;
    private SelectorBench bench;

    /** For subclasses. */
    protected SelectorContract() {}

    /** A selector for a model. */
    protected abstract Selector createSelector(ModelShape shape);

    /** Where it runs; in double precision. */
    protected Backend createBackend() {
        return ReferenceBackends.create(getClass().getClassLoader());
    }

    /** A bench with this selector. */
    protected final SelectorBench bench() {
        return bench;
    }

    @BeforeEach
    final void createBench() {
        backend = new AssertingBackend(createBackend());
        bench = new SelectorBench(backend, this::createSelector);
    }

    @AfterEach
    final void closeBench() {
        bench.close();
        backend.close();
    }

    private static Question question(int recursion) {
        return Question.of(recursion, LENGTHS, SCORES).predicting(PREDICTIONS);
    }

    @Test
    void recursionOneTakesEveryCandidate() {
        double[] all = new double[SCORES.length];
        Arrays.fill(all, 1);
        assertArrayEquals(all, bench.select(question(1)));
    }

    @Test
    void everyCandidateIsTakenOrNot() {
        for (int recursion = 2; recursion <= 3; recursion++) {
            double[] mask = bench.select(question(recursion));
            assertEquals(SCORES.length, mask.length);
            for (double value : mask) {
                assertTrue(value == 0 || value == 1, "mask " + Arrays.toString(mask));
            }
        }
    }

    @Test
    void aCandidateAloneGetsTheSameDecision() {
        for (int recursion = 1; recursion <= 3; recursion++) {
            double[] together = bench.select(question(recursion));
            for (int position = 0; position < SCORES.length; position++) {
                assertEquals(
                        together[position],
                        bench.selectAlone(question(recursion), position),
                        "the candidate at position " + position + " alone, recursion " + recursion);
            }
        }
    }

    @Test
    void noCandidatesAreFine() {
        Question none = Question.of(2, List.of(0)).predicting();
        assertEquals(0, bench.select(none).length);
        bench.observe(none);
        for (StateBuffer buffer : bench.selector().buffers()) {
            assertTrue(Arrays.stream(bench.read(buffer)).allMatch(Double::isFinite), buffer.name());
        }
    }

    @Test
    void noValueIsReadOnTheHost() {
        HostBlindBackend blind = new HostBlindBackend(createBackend());
        try (SelectorBench far = new SelectorBench(blind, this::createSelector)) {
            double[] selected = bench.select(question(2));
            try (HostBlindBackend.BlindSection _ = blind.blind()) {
                far.selectUnseen(question(2));
                far.observe(question(2), selected);
            }
        }
        blind.close();
    }

    @Test
    void predictionsAreAskedForIfAndOnlyIfNeeded() {
        Question without = Question.of(2, LENGTHS, SCORES);
        if (bench.selector().needsPredictions()) {
            assertTrue(assertThrows(IllegalStateException.class, () -> bench.select(without))
                    .getMessage()
                    .contains("router.sampling"));
        } else {
            assertArrayEquals(bench.select(question(2)), bench.select(without));
        }
    }

    @Test
    void aFixedDepthIsWhatIsSelected() {
        OptionalInt depth = bench.selector().fixedDepth();
        if (depth.isPresent()) {
            IntStream.rangeClosed(1, 3).forEach(recursion -> {
                double expected = recursion <= depth.getAsInt() ? 1 : 0;
                assertTrue(
                        Arrays.stream(bench.select(question(recursion))).allMatch(value -> value == expected),
                        "recursion " + recursion);
            });
        }
    }

    @Test
    void declaresBuffersOnlyAndItsCutOffsAmongThem() {
        assertEquals(List.of(), bench.selector().parameters());
        assertEquals(bench.selector().buffers(), bench.selector().buffers());
        bench.selector().cutoffs().ifPresent(cutoffs -> {
            assertTrue(bench.selector().buffers().contains(cutoffs));
            assertEquals(1, cutoffs.rows());
            assertEquals(SelectorBench.SHAPE.recursions(), cutoffs.columns());
        });
    }

    @Test
    void settingTheCutOffsSetsTheDepth() {
        bench.selector().cutoffs().ifPresent(cutoffs -> {
            bench.write(cutoffs, 0, 0.35, 1.7);
            assertArrayEquals(new double[] {1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0}, bench.select(question(2)));
            assertArrayEquals(new double[] {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, bench.select(question(3)));
        });
    }
}
