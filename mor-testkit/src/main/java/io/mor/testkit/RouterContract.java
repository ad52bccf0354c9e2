package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.backend.Backend;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.TokenRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What every router promises, run as a model runs it, in double precision. Extend it, say how the router is made, and turn off what it does
 * not do: the tests then hold it to the opposite where there is one.
 */
public abstract class RouterContract {

    private static final List<Integer> LENGTHS = List.of(5, 1, 7, 3);
    private static final List<Integer> IDS = RouterBench.ids(3, 16);
    private static final CallProgress EVALUATION = CallProgress.none(7);
    private static final double STEP = 1e-5;
    private static final double GRADIENT_TOLERANCE = 1e-6; // relative to the larger of 1 and the gradient

    private Backend backend;
    private RouterBench bench;

    /** For subclasses. */
    protected RouterContract() {}

    /** A router for a model. */
    protected abstract Router createRouter(ModelShape shape);

    /** Where it runs; in double precision. */
    protected Backend createBackend() {
        return ReferenceBackends.create(getClass().getClassLoader());
    }

    /** Whether a token's decision in training and full-sequence evaluation is the same whatever other sequences are in the batch. */
    protected boolean sequencesAreIndependent() {
        return true;
    }

    /** Whether each recursion takes exactly {@code max(1, floor(expectedShare * length))} tokens of a sequence in full-sequence evaluation. */
    protected boolean takesExactShares() {
        return true;
    }

    /** Losses whose predictor sees rows through which no gradient flows; they train parameters of the group {@code auxiliary} alone. */
    protected Set<String> lossesOfDetachedRows() {
        return Set.of();
    }

    /**
     * What becomes of a token that is alone and runs {@code depth} recursions, before the final norm, by a formula in plain Java: gates and updates
     * at their closed form. Empty if the subclass has none, which skips the test.
     *
     * @param bench for the values of parameters; its block is {@link RouterBench#block}
     * @param row as it enters recursion 1
     * @param depth from 0, at most {@link RouterBench#RECURSIONS}
     */
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        return Optional.empty();
    }

    /**
     * All losses of a walk in full-sequence evaluation, by formulas in plain Java. Empty if the subclass has none, which skips the test where there
     * are losses.
     *
     * @param rows as they enter recursion 1
     * @param walk which rows were selected
     */
    protected Map<String, Double> closedFormLosses(RouterBench bench, List<double[]> rows, RouterBench.Walk walk) {
        return Map.of();
    }

    /** A bench with this router and a causal selector that looks at scores and positions. */
    protected final RouterBench bench() {
        return bench;
    }

    /** Another bench on the same backend; to be closed. */
    protected final RouterBench newBench(Optional<Function<ModelShape, Selector>> selector) {
        return new RouterBench(backend, this::createRouter, selector);
    }

    private RouterBench newBench(Backend other) {
        return new RouterBench(other, this::createRouter, Optional.of(shape -> new ScoreSelector()));
    }

    @BeforeEach
    final void createBench() {
        backend = new AssertingBackend(createBackend());
        bench = newBench(backend);
    }

    @AfterEach
    final void closeBench() {
        bench.close();
        backend.close();
    }

    /** Keeps candidates whose score is at least a number that grows with their position; recursion 1 takes all. */
    private static final class ScoreSelector implements Selector {

        @Override
        public Tensor select(CallContext context, SelectionRequest request) {
            Ops ops = context.ops();
            TokenBatch batch = request.batch();
            if (request.recursion() == 1) {
                return ops.constant(batch.extent(), 1, 1);
            }
            Tensor threshold = ops.affine(ops.toColumn(batch.position(), batch.extent()), 0.1, -0.3);
            return ops.compareElements(request.scores(), Comparison.AT_LEAST, threshold);
        }
    }

    /** Gives every token one depth. */
    private record DepthSelector(int depth) implements Selector {

        @Override
        public Tensor select(CallContext context, SelectionRequest request) {
            return context.ops().constant(request.batch().extent(), 1, request.recursion() <= depth ? 1 : 0);
        }

        @Override
        public OptionalInt fixedDepth() {
            return OptionalInt.of(depth);
        }
    }

    // ---- what is declared

    @Test
    void declaresTheSameStateOnEveryCallUnderNamesOfItsOwn() {
        Router router = bench.router();
        assertEquals(router.parameters(), router.parameters());
        assertEquals(router.buffers(), router.buffers());
        List<String> names = Stream.concat(
                        router.parameters().stream().map(Parameter::name),
                        router.buffers().stream().map(buffer -> buffer.name()))
                .toList();
        assertEquals(names.size(), new HashSet<>(names).size(), "names occur twice in " + names);
    }

    @Test
    void expectedSharesAreFractionsThatDoNotIncrease() {
        double previous = 1;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            double share = bench.router().expectedShare(recursion, RouterBench.RECURSIONS);
            assertTrue(
                    share >= 0 && share <= previous,
                    "share " + share + " at recursion " + recursion + " after " + previous);
            previous = share;
        }
    }

    // ---- what becomes of a row

    @Test
    void aTokenBecomesWhatItsFormulaSays() {
        for (int depth = 1; depth <= RouterBench.RECURSIONS; depth++) {
            int fixed = depth;
            try (RouterBench other = newBench(Optional.of(shape -> new DepthSelector(fixed)))) {
                for (int id = 0; id < RouterBench.VOCABULARY; id += 5) {
                    double[] row = other.embedding(id);
                    Optional<double[]> expected = closedForm(other, row, depth);
                    assumeTrue(expected.isPresent(), "the subclass has no closed form");
                    ModelChecks.assertValues(
                            expected.get(),
                            alone(other, row).value(),
                            1e-12,
                            "gate and update of a token after " + depth + " recursions, against closedForm()");
                }
            }
        }
    }

    /** What a token alone is after its recursions, not normalised, and how many those were. */
    private record Alone(double[] value, int depth) {}

    private static Alone alone(RouterBench bench, double[] row) {
        return alone(bench, row, 0, 1);
    }

    private static Alone alone(RouterBench bench, double[] row, int position, int length) {
        Map<String, List<double[]>> state =
                bench.begin(Phase.CAUSAL, List.of(new TokenRow(0, position, 1)), List.of(row), sequence -> length);
        double[] value = row;
        int depth = 0;
        while (depth < RouterBench.RECURSIONS) {
            List<TokenRow> token = List.of(new TokenRow(0, position, depth + 1));
            RouterBench.Recursion result =
                    bench.recurse(Phase.CAUSAL, token, List.of(value), state, sequence -> length);
            if (result.selected().isEmpty()) {
                break;
            }
            depth++;
            value = result.rows().getFirst();
            state = result.state();
        }
        return new Alone(value, depth);
    }

    @Test
    void lossesAreWhatTheirFormulasSay() {
        RouterBench.Walk walk = bench.walk(Phase.FULL_SEQUENCE_EVALUATION, LENGTHS, IDS, EVALUATION);
        Map<String, Double> expected =
                closedFormLosses(bench, IDS.stream().map(bench::embedding).toList(), walk);
        assumeTrue(
                walk.losses().isEmpty() || !expected.isEmpty(),
                "the subclass has no closed forms of " + walk.losses().keySet());
        assertEquals(expected.keySet(), walk.losses().keySet(), "losses with a closed form");
        expected.forEach((name, value) -> assertEquals(
                value,
                walk.losses().get(name),
                1e-12 * Math.max(1, Math.abs(value)),
                name + " against closedFormLosses()"));
    }

    @Test
    void updatesByGatedAdditionOrSaysNot() {
        boolean same = true;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            RouterBench.Updates updates = bench.updates(
                    tokens(LENGTHS, recursion),
                    IDS.stream().map(bench::embedding).toList(),
                    LENGTHS::get);
            if (bench.router().updatesByGatedAddition()) {
                ModelChecks.assertRows(
                        updates.gated(),
                        updates.own(),
                        0,
                        "update() at recursion " + recursion
                                + " against previous + gate * output, which updatesByGatedAddition() says it is");
            }
            same &= ModelChecks.same(updates.gated(), updates.own());
        }
        assertEquals(bench.router().updatesByGatedAddition(), same, "updatesByGatedAddition() says otherwise");
    }

    @Test
    void everyOtherBackendHereAgreesWithTheReference() {
        OtherBackends.forEach(other -> {
            try (RouterBench elsewhere = newBench(other.backend())) {
                for (Phase phase : Phase.values()) {
                    RouterBench.Walk expected = bench.walk(phase, LENGTHS, IDS, EVALUATION);
                    RouterBench.Walk actual = elsewhere.walk(phase, LENGTHS, IDS, EVALUATION);
                    assertEquals(
                            expected.selected(), actual.selected(), phase + ": selections on backend " + other.id());
                    ModelChecks.assertRows(
                            expected.rows(), actual.rows(), other.tolerance(), phase + " on backend " + other.id());
                    expected.losses()
                            .forEach((name, value) -> assertEquals(
                                    value,
                                    actual.losses().get(name),
                                    other.tolerance() * Math.max(1, Math.abs(value)),
                                    phase + ": " + name + " on backend " + other.id()));
                }
                bench.train(LENGTHS, IDS, RouterBench.progress(4, 2));
                elsewhere.train(LENGTHS, IDS, RouterBench.progress(4, 2));
                for (Parameter parameter : bench.weights().parameters()) {
                    ModelChecks.assertValues(
                            bench.gradient(parameter),
                            elsewhere.gradient(elsewhere.parameter(parameter.name())),
                            10 * other.tolerance(),
                            "gradient of " + parameter.name() + " on backend " + other.id());
                }
            }
        });
    }

    // ---- which rows are selected

    @Test
    void selectsAscendingRowsAmongThoseSelectedBefore() {
        for (Phase phase : Phase.values()) {
            RouterBench.Walk walk = bench.walk(phase, LENGTHS, IDS, EVALUATION);
            assertEquals(RouterBench.RECURSIONS, walk.selected().size());
            List<Integer> before = IntStream.range(0, IDS.size()).boxed().toList();
            for (List<Integer> selected : walk.selected()) {
                assertEquals(selected.stream().sorted().distinct().toList(), selected, phase + ": not ascending");
                assertTrue(
                        before.containsAll(selected),
                        phase + ": " + selected + " has rows that had left before, of " + before);
                before = selected;
            }
        }
    }

    @Test
    void takesItsExpectedShareOfEverySequence() {
        RouterBench.Walk walk = bench.walk(Phase.FULL_SEQUENCE_EVALUATION, LENGTHS, IDS, EVALUATION);
        boolean exact = true;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            double share = bench.router().expectedShare(recursion, RouterBench.RECURSIONS);
            int first = 0;
            for (int length : LENGTHS) {
                int from = first;
                int expected = share == 0 ? 0 : Math.max(1, (int) (share * length));
                long taken = walk.selected().get(recursion - 1).stream()
                        .filter(row -> row >= from && row < from + length)
                        .count();
                exact &= taken == expected;
                if (takesExactShares()) {
                    assertEquals(expected, taken, "recursion " + recursion + " of a sequence of " + length);
                }
                first += length;
            }
        }
        assertEquals(takesExactShares(), exact, "takesExactShares() says otherwise");
    }

    @Test
    void recursionOneTakesEveryRowCausally() {
        RouterBench.Walk walk = bench.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION);
        assertEquals(
                IntStream.range(0, IDS.size()).boxed().toList(), walk.selected().getFirst());
    }

    @Test
    void rowsThatAreNotSelectedKeepTheirBits() {
        List<double[]> values = IDS.stream().map(bench::embedding).toList();
        int left = 0;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            List<TokenRow> tokens = tokens(LENGTHS, recursion);
            Map<String, List<double[]>> state = bench.begin(Phase.CAUSAL, tokens(LENGTHS, 1), values, LENGTHS::get);
            RouterBench.Recursion result = bench.recurse(Phase.CAUSAL, tokens, values, state, LENGTHS::get);
            for (int row = 0; row < values.size(); row++) {
                if (!result.selected().contains(row)) {
                    assertArrayEquals(
                            values.get(row), result.rows().get(row), "row " + row + " at recursion " + recursion);
                    left++;
                }
            }
        }
        assertTrue(
                left > 0 || bench.router().expectedShare(RouterBench.RECURSIONS, RouterBench.RECURSIONS) == 1,
                "no row was ever left out");
    }

    @Test
    void theDepthThatTheSelectorFixesIsKept() {
        for (int depth = 1; depth <= RouterBench.RECURSIONS; depth++) {
            int fixed = depth;
            try (RouterBench other = newBench(Optional.of(shape -> new DepthSelector(fixed)))) {
                Set<Integer> depths = new HashSet<>(
                        other.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION).depths());
                assertEquals(Set.of(depth), depths);
            }
        }
    }

    @Test
    void saysWhetherItNeedsASelector() {
        try (RouterBench without = newBench(Optional.empty())) {
            if (bench.router().needsSelector()) {
                assertThrows(IllegalStateException.class, () -> without.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION));
            } else {
                assertEquals(
                        IDS.size(),
                        without.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION)
                                .rows()
                                .size());
            }
        }
    }

    // ---- what depends on what

    @Test
    void aLaterRowChangesNothingForEarlierOnesCausally() {
        RouterBench.Walk walk = bench.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION);
        int first = 0;
        for (int length : LENGTHS) {
            for (int position = 0; position < length; position++) {
                List<Integer> changed = new ArrayList<>(IDS);
                changed.set(first + position, (IDS.get(first + position) + 1) % RouterBench.VOCABULARY);
                RouterBench.Walk other = bench.walk(Phase.CAUSAL, LENGTHS, changed, EVALUATION);
                for (int earlier = 0; earlier < first + position; earlier++) {
                    assertEquals(
                            walk.depths().get(earlier),
                            other.depths().get(earlier),
                            "not causal: a change of row " + (first + position) + " changed the depth of row "
                                    + earlier);
                    assertArrayEquals(
                            walk.rows().get(earlier),
                            other.rows().get(earlier),
                            "not causal: a change of row " + (first + position) + " changed row " + earlier);
                }
            }
            first += length;
        }
    }

    @Test
    void aPromptAtOnceEqualsTokenByToken() {
        List<Integer> lengths = List.of(11);
        List<Integer> ids = RouterBench.ids(5, 11);
        RouterBench.Walk atOnce = bench.walk(Phase.CAUSAL, lengths, ids, EVALUATION);
        for (int position = 0; position < ids.size(); position++) {
            Alone alone = alone(bench, bench.embedding(ids.get(position)), position, 11);
            assertEquals(
                    atOnce.depths().get(position),
                    alone.depth(),
                    "token by token against the prompt at once: depth at position " + position);
            ModelChecks.assertValues(
                    atOnce.rows().get(position),
                    normalized(alone.value()),
                    1e-12,
                    "token by token against the prompt at once: row at position " + position);
        }
    }

    /** As the model's final norm, whose weights are 1 here. */
    private static double[] normalized(double[] row) {
        double squares = 0;
        for (double value : row) {
            squares += value * value;
        }
        double factor = 1 / Math.sqrt(squares / row.length + 1e-5);
        return Arrays.stream(row).map(value -> value * factor).toArray();
    }

    @Test
    void aBatchOfMixedRecursionsEqualsUniformBatches() {
        // Sixteen sequences of one new token each; every third has got one recursion further.
        record Waiting(TokenRow token, double[] value, Map<String, double[]> state) {}
        List<Waiting> waiting = new ArrayList<>();
        for (int sequence = 0; sequence < IDS.size(); sequence++) {
            int position = 2 + sequence % 5;
            double[] value = bench.embedding(IDS.get(sequence));
            Map<String, double[]> state = single(
                    bench.begin(Phase.CAUSAL, List.of(new TokenRow(sequence, position, 1)), List.of(value), any -> 9),
                    0);
            int recursion = 1;
            while (recursion <= sequence % RouterBench.RECURSIONS) {
                RouterBench.Recursion result = bench.recurse(
                        Phase.CAUSAL,
                        List.of(new TokenRow(sequence, position, recursion)),
                        List.of(value),
                        lists(List.of(state)),
                        any -> 9);
                if (result.selected().isEmpty()) {
                    break;
                }
                value = result.rows().getFirst();
                state = single(result.state(), 0);
                recursion++;
            }
            waiting.add(new Waiting(new TokenRow(sequence, position, recursion), value, state));
        }
        waiting.sort(Comparator.comparingInt(row -> row.token().recursion()));
        RouterBench.Recursion mixed = bench.recurse(
                Phase.CAUSAL,
                waiting.stream().map(Waiting::token).toList(),
                waiting.stream().map(Waiting::value).toList(),
                lists(waiting.stream().map(Waiting::state).toList()),
                any -> 9);
        int next = 0;
        for (int row = 0; row < waiting.size(); row++) {
            Waiting one = waiting.get(row);
            RouterBench.Recursion alone = bench.recurse(
                    Phase.CAUSAL, List.of(one.token()), List.of(one.value()), lists(List.of(one.state())), any -> 9);
            assertEquals(!alone.selected().isEmpty(), mixed.selected().contains(row), "selection of " + one.token());
            assertArrayEquals(alone.rows().getFirst(), mixed.rows().get(row), "value of " + one.token());
            if (!alone.selected().isEmpty()) {
                Map<String, double[]> expected = single(alone.state(), 0);
                Map<String, double[]> actual = single(mixed.state(), next++);
                assertEquals(expected.keySet(), actual.keySet());
                expected.forEach((name, values) ->
                        assertArrayEquals(values, actual.get(name), "state " + name + " of " + one.token()));
            }
        }
        assertTrue(
                waiting.stream().map(row -> row.token().recursion()).distinct().count() > 1, "the batch is not mixed");
    }

    private static Map<String, double[]> single(Map<String, List<double[]>> columns, int row) {
        Map<String, double[]> values = new LinkedHashMap<>();
        columns.forEach((name, rows) -> values.put(name, rows.get(row)));
        return values;
    }

    private static Map<String, List<double[]>> lists(List<Map<String, double[]>> rows) {
        Map<String, List<double[]>> columns = new LinkedHashMap<>();
        for (Map<String, double[]> row : rows) {
            row.forEach((name, values) ->
                    columns.computeIfAbsent(name, key -> new ArrayList<>()).add(values));
        }
        return columns;
    }

    @Test
    void raggedSequencesEqualEachByItself() {
        assertSequencesByThemselves(Phase.CAUSAL);
        if (sequencesAreIndependent()) {
            assertSequencesByThemselves(Phase.FULL_SEQUENCE_EVALUATION);
        } else {
            assertThrows(
                    AssertionError.class,
                    () -> assertSequencesByThemselves(Phase.FULL_SEQUENCE_EVALUATION),
                    "sequencesAreIndependent() says otherwise");
        }
    }

    private void assertSequencesByThemselves(Phase phase) {
        RouterBench.Walk together = bench.walk(phase, LENGTHS, IDS, EVALUATION);
        int first = 0;
        for (int length : LENGTHS) {
            RouterBench.Walk alone = bench.walk(phase, List.of(length), IDS.subList(first, first + length), EVALUATION);
            assertEquals(
                    alone.depths(),
                    together.depths().subList(first, first + length),
                    phase + ": depths of a sequence of " + length);
            for (int row = 0; row < length; row++) {
                assertArrayEquals(
                        alone.rows().get(row),
                        together.rows().get(first + row),
                        phase + ": row " + row + " of a sequence of " + length);
            }
            first += length;
        }
    }

    // ---- edges

    @Test
    void noTokensAtAllAndEmptySequencesAreFine() {
        for (Phase phase : Phase.values()) {
            assertTrue(
                    bench.walk(phase, List.of(0), List.of(), EVALUATION).rows().isEmpty());
            RouterBench.Walk walk = bench.walk(phase, List.of(0, 3, 0), IDS.subList(0, 3), EVALUATION);
            assertEquals(3, walk.rows().size());
            walk.losses().forEach((name, value) -> assertTrue(Double.isFinite(value), name + " is " + value));
        }
        bench.train(List.of(0), List.of(), EVALUATION);
        for (Parameter parameter : bench.router().parameters()) {
            for (double value : bench.gradient(parameter)) {
                assertTrue(value == 0, "gradient of " + parameter.name() + ": " + value);
            }
        }
    }

    @Test
    void aSingleTokenRunsAtLeastOneRecursion() {
        for (Phase phase : Phase.values()) {
            RouterBench.Walk walk = bench.walk(phase, List.of(1), List.of(4), EVALUATION);
            assertTrue(walk.depths().getFirst() >= 1, phase.toString());
        }
    }

    // ---- state, randomness, the host

    @Test
    void theSameCallGivesTheSameBits() {
        for (Phase phase : Phase.values()) {
            RouterBench.Walk one = bench.walk(phase, LENGTHS, IDS, RouterBench.progress(5, 2));
            RouterBench.Walk other = bench.walk(phase, LENGTHS, IDS, RouterBench.progress(5, 2));
            assertEquals(one.selected(), other.selected(), phase + ": selections of the same call twice");
            assertEquals(one.losses(), other.losses(), phase + ": losses of the same call twice");
            ModelChecks.assertRows(one.rows(), other.rows(), 0, phase + ": the same call twice");
        }
    }

    @Test
    void nothingChangesOutsideTraining() {
        bench.step(LENGTHS, IDS, RouterBench.progress(0, 1));
        Map<String, List<Double>> before = bench.buffers();
        bench.walk(Phase.FULL_SEQUENCE_EVALUATION, LENGTHS, IDS, EVALUATION);
        bench.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION);
        assertEquals(before, bench.buffers());
    }

    @Test
    void noValueIsReadOnTheHostWithinAStep() {
        HostBlindBackend blind = new HostBlindBackend(createBackend());
        try (RouterBench far = newBench(blind)) {
            try (HostBlindBackend.BlindSection _ = blind.blind()) {
                far.step(LENGTHS, IDS, RouterBench.progress(0, 1));
                far.causalCall(LENGTHS, IDS);
            }
        }
        blind.close();
    }

    @Test
    void rowsBeyondACountNeverMatter() {
        HostBlindBackend spoiling = new HostBlindBackend(createBackend());
        try (RouterBench far = newBench(spoiling)) {
            for (Phase phase : Phase.values()) {
                RouterBench.Walk expected = bench.walk(phase, LENGTHS, IDS, EVALUATION);
                RouterBench.Walk actual = far.walk(phase, LENGTHS, IDS, EVALUATION);
                assertEquals(expected.selected(), actual.selected());
                assertEquals(expected.losses(), actual.losses());
                for (int row = 0; row < IDS.size(); row++) {
                    assertArrayEquals(expected.rows().get(row), actual.rows().get(row), phase + ": row " + row);
                }
            }
            bench.train(LENGTHS, IDS, RouterBench.progress(0, 1));
            far.train(LENGTHS, IDS, RouterBench.progress(0, 1));
            for (Parameter parameter : bench.weights().parameters()) {
                assertArrayEquals(
                        bench.gradient(parameter), far.gradient(parameter), "gradient of " + parameter.name());
            }
        }
        spoiling.close();
    }

    @Test
    void causalCallsReportNoLosses() {
        assertEquals(
                Map.of(), bench.walk(Phase.CAUSAL, LENGTHS, IDS, EVALUATION).losses());
    }

    // ---- gradients

    @Test
    void gradientsAgreeWithCentralDifferences() {
        CallProgress progress = RouterBench.progress(4, 2);
        bench.train(LENGTHS, IDS, progress);
        List<Parameter> parameters = new ArrayList<>(bench.router().parameters());
        parameters.add(bench.parameter("embed.weight"));
        Map<Parameter, double[]> gradients = new LinkedHashMap<>();
        parameters.forEach(parameter -> gradients.put(parameter, bench.gradient(parameter)));
        gradients.forEach((parameter, gradient) -> {
            boolean auxiliary = parameter.group().equals(OptimizerGroup.AUXILIARY);
            for (int i = 0; i < gradient.length; i++) {
                double slope = (moved(parameter, i, STEP, progress, auxiliary)
                                - moved(parameter, i, -STEP, progress, auxiliary))
                        / (2 * STEP);
                assertEquals(
                        slope,
                        gradient[i],
                        GRADIENT_TOLERANCE * Math.max(1, Math.abs(slope)),
                        String.format(Locale.ROOT, "gradient of %s[%d]", parameter.name(), i));
            }
        });
    }

    private double moved(Parameter parameter, int element, double step, CallProgress progress, boolean auxiliary) {
        double[] values = bench.read(parameter);
        double[] changed = values.clone();
        changed[element] += step;
        bench.write(parameter, changed);
        double objective = bench.objective(
                LENGTHS,
                IDS,
                progress,
                loss -> auxiliary || !lossesOfDetachedRows().contains(loss));
        bench.write(parameter, values);
        return objective;
    }

    @Test
    void everyTrainedParameterGetsAGradient() {
        bench.train(LENGTHS, IDS, RouterBench.progress(4, 2));
        for (Parameter parameter : bench.router().parameters()) {
            boolean any = Arrays.stream(bench.gradient(parameter)).anyMatch(value -> value != 0);
            assertTrue(any, parameter.name() + " gets no gradient");
        }
    }

    private static List<TokenRow> tokens(List<Integer> lengths, int recursion) {
        List<TokenRow> tokens = new ArrayList<>();
        for (int sequence = 0; sequence < lengths.size(); sequence++) {
            for (int position = 0; position < lengths.get(sequence); position++) {
                tokens.add(new TokenRow(sequence, position, recursion));
            }
        }
        return tokens;
    }
}
