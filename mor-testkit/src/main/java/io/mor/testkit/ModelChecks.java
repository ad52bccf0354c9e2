package io.mor.testkit;

import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/** Comparisons that the contracts share. */
final class ModelChecks {

    private static final double STEP = 1e-5;
    private static final double GRADIENT_TOLERANCE = 1e-6; // relative to the larger of 1 and the gradient
    private static final int CHECKED_ELEMENT = 17; // every 17th in the quick profile: odd, so that all columns occur

    private ModelChecks() {}

    static boolean same(List<double[]> one, List<double[]> other) {
        return one.size() == other.size()
                && IntStream.range(0, one.size()).allMatch(i -> Arrays.equals(one.get(i), other.get(i)));
    }

    /** Fails with the first row and column that differ by more than a tolerance, relative to the larger of 1 and the expected value. */
    static void assertRows(List<double[]> expected, List<double[]> actual, double tolerance, String what) {
        if (expected.size() != actual.size()) {
            throw new AssertionError(what + ": " + actual.size() + " rows, not " + expected.size());
        }
        for (int row = 0; row < expected.size(); row++) {
            assertValues(expected.get(row), actual.get(row), tolerance, what + ": row " + row);
        }
    }

    static void assertValues(double[] expected, double[] actual, double tolerance, String what) {
        for (int i = 0; i < expected.length; i++) {
            double allowed = tolerance * Math.max(1, Math.abs(expected[i]));
            boolean close = Double.compare(expected[i], actual[i]) == 0 || Math.abs(expected[i] - actual[i]) <= allowed;
            if (!close) {
                throw new AssertionError(String.format(
                        Locale.ROOT, "%s: column %d is %.17g, not %.17g", what, i, actual[i], expected[i]));
            }
        }
    }

    static void assertCausal(BlockBench bench, Phase phase, List<Integer> lengths, List<Integer> ids) {
        List<double[]> before = bench.walk(phase, lengths, ids);
        int first = 0;
        for (int length : lengths) {
            for (int position = 1; position < length; position += 2) {
                List<Integer> changed = new ArrayList<>(ids);
                changed.set(first + position, (ids.get(first + position) + 1) % BlockBench.VOCABULARY);
                List<double[]> after = bench.walk(phase, lengths, changed);
                for (int earlier = 0; earlier < first + position; earlier++) {
                    assertValues(
                            before.get(earlier),
                            after.get(earlier),
                            0,
                            phase + ": not causal: a change of row " + (first + position) + " changed row " + earlier);
                }
            }
            first += length;
        }
    }

    static void assertPrefillEqualsDecode(BlockBench bench, int tokens) {
        List<Integer> ids = BlockBench.ids(5, tokens);
        BlockBench.Generated atOnce = bench.generate(ids, List.of(tokens), 0);
        BlockBench.Generated singly = bench.generate(ids, Collections.nCopies(tokens, 1), 0);
        assertRows(atOnce.rows(), singly.rows(), 0, "token by token against the prompt at once");
        int second = Math.min(tokens - 3, 17);
        BlockBench.Generated pieces = bench.generate(ids, List.of(second, 1, 2, tokens - second - 3), 2);
        assertRows(atOnce.rows(), pieces.rows(), 0, "in pieces, in another slot, against the prompt at once");
        if (atOnce.entries() != singly.entries() || atOnce.entries() != pieces.entries()) {
            throw new AssertionError("rows of keys and values held: " + atOnce.entries() + " after the prompt at once, "
                    + singly.entries() + " token by token, " + pieces.entries() + " in pieces");
        }
        assertRows(
                bench.walk(Phase.CAUSAL, List.of(tokens), ids),
                atOnce.rows(),
                1e-12,
                "the prompt through pages against the whole sequence without");
    }

    /** The last tokens of three sequences, entering at one call and at three. */
    static void assertMixedEqualsUniform(BlockBench bench) {
        List<Integer> ids = BlockBench.ids(9, 14);
        List<List<Integer>> sequences = List.of(ids.subList(0, 5), ids.subList(5, 6), ids.subList(6, 14));
        assertRows(
                bench.lastRows(sequences, List.of(0, 0, 0)),
                bench.lastRows(sequences, List.of(2, 0, 1)),
                0,
                "a batch of mixed recursions against uniform batches");
    }

    static void assertSequencesByThemselves(BlockBench bench, Phase phase, List<Integer> lengths, List<Integer> ids) {
        List<double[]> together = bench.walk(phase, lengths, ids);
        int first = 0;
        for (int length : lengths) {
            List<double[]> alone = bench.walk(phase, List.of(length), ids.subList(first, first + length));
            assertRows(
                    alone,
                    together.subList(first, first + length),
                    0,
                    phase + ": a sequence of " + length + " among others");
            first += length;
        }
    }

    static void assertEmptyIsFine(BlockBench bench) {
        for (Phase phase : Phase.values()) {
            assertRows(List.of(), bench.walk(phase, List.of(0), List.of()), 0, phase + " of no tokens");
            List<Integer> ids = List.of(4, 5, 6);
            assertRows(
                    bench.walk(phase, List.of(3), ids),
                    bench.walk(phase, List.of(0, 3, 0), ids),
                    0,
                    phase + " of a sequence between empty ones");
        }
        bench.train(List.of(0), List.of());
        for (Parameter parameter : bench.weights().parameters()) {
            for (double value : bench.gradient(parameter)) {
                if (value != 0) {
                    throw new AssertionError("gradient of " + parameter.name() + " without tokens: " + value);
                }
            }
        }
    }

    static void assertGradients(BlockBench bench, List<Integer> lengths, List<Integer> ids) {
        bench.train(lengths, ids);
        int stride = "full".equals(System.getProperty("mor.test.profile")) ? 1 : CHECKED_ELEMENT;
        for (Parameter parameter : bench.weights().parameters()) {
            double[] gradient = bench.gradient(parameter);
            double[] values = bench.read(parameter);
            for (int i = 0; i < gradient.length; i += stride) {
                double[] moved = values.clone();
                moved[i] = values[i] + STEP;
                bench.write(parameter, moved);
                double above = bench.objective(lengths, ids);
                moved[i] = values[i] - STEP;
                bench.write(parameter, moved);
                double slope = (above - bench.objective(lengths, ids)) / (2 * STEP);
                if (!(Math.abs(slope - gradient[i]) <= GRADIENT_TOLERANCE * Math.max(1, Math.abs(slope)))) {
                    throw new AssertionError(String.format(
                            Locale.ROOT,
                            "the gradient of %s[%d] is %.9g, central differences say %.9g",
                            parameter.name(),
                            i,
                            gradient[i],
                            slope));
                }
            }
            bench.write(parameter, values);
        }
    }

    static void assertAgree(
            BlockBench reference,
            BlockBench elsewhere,
            OtherBackends.Other other,
            List<Integer> lengths,
            List<Integer> ids) {
        for (Phase phase : Phase.values()) {
            assertRows(
                    reference.walk(phase, lengths, ids),
                    elsewhere.walk(phase, lengths, ids),
                    other.tolerance(),
                    phase + " on backend " + other.id());
        }
        reference.train(lengths, ids);
        elsewhere.train(lengths, ids);
        for (Parameter parameter : reference.weights().parameters()) {
            assertValues(
                    reference.gradient(parameter),
                    elsewhere.gradient(elsewhere.parameter(parameter.name())),
                    10 * other.tolerance(),
                    "gradient of " + parameter.name() + " on backend " + other.id());
        }
        List<Integer> single = ids.subList(0, lengths.getFirst());
        assertRows(
                reference
                        .generate(single, Collections.nCopies(single.size(), 1), 0)
                        .rows(),
                elsewhere
                        .generate(single, Collections.nCopies(single.size(), 1), 0)
                        .rows(),
                other.tolerance(),
                "token by token on backend " + other.id());
    }
}
