package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Kernels that do several steps of a layer at once, against the same steps one by one on the same backend. */
public interface TogetherKernelContract extends OnBench {

    /** Rows of a batch. */
    int[] ROWS = {1, 7, 131, 600};

    /** Widths and feed-forward widths. */
    int[][] WIDTHS = {{6, 10}, {64, 128}, {72, 40}, {192, 576}};

    @Test
    default void gatedLinearsAreTheProductsAndTheirGate() {
        forEachShape((tensors, rows, width, feedForward) -> {
            Backend backend = tensors.backend;
            Tensor x = tensors.rows(rows, width, 1);
            FeedForward layers = new FeedForward(tensors, width, feedForward);
            Tensor gate = tensors.rows(rows, feedForward, 0);
            Tensor up = tensors.rows(rows, feedForward, 0);
            Tensor inner = tensors.rows(rows, feedForward, 0);
            backend.gatedLinears(gate, up, inner, x, layers.gate, layers.up);

            Tensor gateAlone = tensors.rows(rows, feedForward, 0);
            Tensor upAlone = tensors.rows(rows, feedForward, 0);
            Tensor innerAlone = tensors.rows(rows, feedForward, 0);
            backend.matmul(gateAlone, x, false, layers.gate, true, false);
            backend.matmul(upAlone, x, false, layers.up, true, false);
            backend.swiGlu(innerAlone, gateAlone, upAlone);
            tensors.expect("gate", gateAlone, gate);
            tensors.expect("up", upAlone, up);
            tensors.expect("inner", innerAlone, inner);
        });
    }

    @Test
    default void gatedLinearsGradientIsTheSlopeAndGivesInnerWithTheBitsOfTheWayForward() {
        forEachShape((tensors, rows, width, feedForward) -> {
            Backend backend = tensors.backend;
            Tensor x = tensors.rows(rows, width, 1);
            FeedForward layers = new FeedForward(tensors, width, feedForward);
            Tensor dout = tensors.rows(rows, width, 1);
            Tensor gate = tensors.rows(rows, feedForward, 0);
            Tensor up = tensors.rows(rows, feedForward, 0);
            Tensor inner = tensors.rows(rows, feedForward, 0);
            backend.gatedLinears(gate, up, inner, x, layers.gate, layers.up);

            Tensor again = tensors.rows(rows, feedForward, 0);
            Tensor packed = tensors.rows(rows, 2 * feedForward, 0);
            Tensor dx = tensors.rows(rows, width, 0);
            backend.gatedLinearsGradient(packed, again, true, gate, up, dout, layers.down, layers.projections);
            backend.packedInputGradient(dx, packed, layers.projections);
            setThenAdd(tensors, layers.wanted(), packed, x, layers.projections);
            assertArrayEquals(backend.readDoubles(inner), backend.readDoubles(again), "inner, " + rows + " rows");

            Tensor dinner = tensors.rows(rows, feedForward, 0);
            Tensor dgate = tensors.rows(rows, feedForward, 0);
            Tensor dup = tensors.rows(rows, feedForward, 0);
            Tensor dxAlone = tensors.rows(rows, width, 0);
            backend.matmul(dinner, dout, false, layers.down, false, false);
            backend.swiGluBackward(dgate, dup, gate, up, dinner);
            backend.matmul(dxAlone, dgate, false, layers.gate, false, false);
            backend.matmul(dxAlone, dup, false, layers.up, false, true);
            Tensor dweights = tensors.zeros(2 * feedForward, width);
            backend.matmul(tensors.part(dweights, 0, feedForward), dgate, true, x, false, true);
            backend.matmul(tensors.part(dweights, feedForward, feedForward), dup, true, x, false, true);
            tensors.expect("dx", dxAlone, dx);
            tensors.expect("dweights", dweights, layers.dweights);
        });
    }

    @Test
    default void normedGatedLinearsAreTheGatedUnitOfTheNormAlsoAfterTheOptimizersStep() {
        for (boolean wantsNormed : new boolean[] {false, true}) {
            forEachShape((tensors, rows, width, feedForward) -> {
                Backend backend = tensors.backend;
                NormedRows norm = new NormedRows(tensors, rows, width);
                FeedForward layers = new FeedForward(tensors, width, feedForward);
                List<Tensor> made = tensors.likeEach(rows, feedForward, feedForward, feedForward);
                List<Tensor> alone = tensors.likeEach(rows, feedForward, feedForward, feedForward);
                norm.checkBeforeAndAfterSteps(
                        wantsNormed,
                        List.of(layers.gate, layers.up),
                        made,
                        alone,
                        normed -> backend.normedGatedLinears(
                                made.get(0),
                                made.get(1),
                                made.get(2),
                                normed,
                                wantsNormed,
                                norm.taken,
                                layers.gate,
                                layers.up),
                        normed -> backend.gatedLinears(
                                alone.get(0), alone.get(1), alone.get(2), normed, layers.gate, layers.up));
            });
        }
    }

    @Test
    default void normedLinearsAreTheProjectionsOfTheNormAlsoAfterTheOptimizersStep() {
        for (boolean wantsNormed : new boolean[] {false, true}) {
            for (int headDim : new int[] {2, 6, 64}) {
                for (int rows : ROWS) {
                    try (Tensors tensors = new Tensors(bench().subject())) {
                        normedLinears(tensors, rows, headDim, wantsNormed);
                    }
                }
            }
        }
    }

    private static void normedLinears(Tensors tensors, int rows, int headDim, boolean wantsNormed) {
        Backend backend = tensors.backend;
        int width = headDim == 64 ? 128 : 18;
        int[] widths = {3 * headDim, headDim, headDim};
        IntTensor position =
                tensors.ints(IntStream.range(0, rows).map(i -> 3 + i % 101).toArray());
        Optional<Ops.Rotation> rotation = Optional.of(new Ops.Rotation(position, headDim, 100));
        Tensor weights = tensors.weights(5 * headDim, width);
        List<Ops.Projection> projections = List.of(
                new Ops.Projection(tensors.part(weights, 0, widths[0]), rotation),
                new Ops.Projection(tensors.part(weights, widths[0], widths[1]), rotation),
                new Ops.Projection(tensors.part(weights, widths[0] + widths[1], widths[2]), Optional.empty()));
        NormedRows norm = new NormedRows(tensors, rows, width);
        List<Tensor> made = tensors.likeEach(rows, widths);
        List<Tensor> alone = tensors.likeEach(rows, widths);
        norm.checkBeforeAndAfterSteps(
                wantsNormed,
                List.of(weights),
                made,
                alone,
                normed -> backend.normedLinears(made, normed, wantsNormed, norm.taken, projections),
                normed -> backend.linears(alone, normed, projections));
    }

    @Test
    default void packedInputGradientThroughNormIsThatOfTheNormOfWhatTheProjectionsGive() {
        for (boolean accumulate : new boolean[] {false, true}) {
            for (boolean again : new boolean[] {false, true}) {
                forEachShape((tensors, rows, width, feedForward) -> {
                    Backend backend = tensors.backend;
                    Tensor x = tensors.rows(rows, width, 1);
                    Tensor weight = tensors.weights(1, width);
                    Tensor normed = tensors.rows(rows, width, 0);
                    Tensor rstd = tensors.zeros(rows, 1);
                    backend.rmsNorm(normed, rstd, x, weight, Optional.empty(), 1e-5);
                    FeedForward layers = new FeedForward(tensors, width, feedForward);
                    Tensor gate = tensors.rows(rows, feedForward, 0);
                    Tensor up = tensors.rows(rows, feedForward, 0);
                    Tensor inner = tensors.rows(rows, feedForward, 0);
                    backend.gatedLinears(gate, up, inner, normed, layers.gate, layers.up);
                    Tensor packed = tensors.rows(rows, 2 * feedForward, 0);
                    Tensor dout = tensors.rows(rows, width, 1);
                    backend.gatedLinearsGradient(packed, inner, true, gate, up, dout, layers.down, layers.projections);
                    Tensor dx = tensors.rows(rows, width, 1);
                    Tensor dxAlone = tensors.rows(rows, width, 0);
                    backend.copy(dxAlone, dx);
                    Tensor dweight = tensors.zeros(1, width);
                    Tensor dweightAlone = tensors.zeros(1, width);
                    Tensor normedAgain = tensors.rows(rows, width, 0);
                    Tensor between = tensors.rows(rows, width, 0);
                    backend.packedInputGradientThroughNorm(
                            dx,
                            dweight,
                            again ? Optional.of(normedAgain) : Optional.empty(),
                            between,
                            packed,
                            layers.projections,
                            new Ops.Norm(x, weight, Optional.empty(), 1e-5, rstd),
                            accumulate);

                    Tensor dnormed = tensors.rows(rows, width, 0);
                    backend.packedInputGradient(dnormed, packed, layers.projections);
                    backend.rmsNormBackward(
                            dxAlone, dweightAlone, x, rstd, weight, Optional.empty(), dnormed, accumulate);
                    tensors.expect("dx", dxAlone, dx);
                    tensors.expect("dweight", dweightAlone, dweight);
                    if (again) {
                        assertArrayEquals(
                                backend.readDoubles(normed), backend.readDoubles(normedAgain), rows + " rows");
                    }
                });
            }
        }
    }

    @Test
    default void attentionGradientIsThatOfTheProjectionsBeforeTheirRotation() {
        for (AttentionShape shape :
                List.of(new AttentionShape(1, 1, 2), new AttentionShape(4, 2, 6), new AttentionShape(3, 1, 64))) {
            for (int rows : ROWS) {
                try (Tensors tensors = new Tensors(bench().subject())) {
                    attentionGradient(tensors, shape, rows, shape.headDim() == 64 ? 128 : 18);
                }
            }
        }
    }

    private static void attentionGradient(Tensors tensors, AttentionShape shape, int rows, int width) {
        Backend backend = tensors.backend;
        int[] widths = {shape.queryWidth(), shape.kvWidth(), shape.kvWidth()};
        int all = IntStream.of(widths).sum();
        IntTensor position =
                tensors.ints(IntStream.range(0, rows).map(i -> 3 + i % 101).toArray());
        IntTensor start =
                tensors.ints(IntStream.range(0, rows).map(i -> i - i % 101).toArray());
        IntTensor end = tensors.ints(IntStream.range(0, rows).map(i -> i + 1).toArray());
        AttentionRanges ranges = new AttentionRanges(start, end, Optional.empty(), Math.min(rows, 101));
        Optional<Ops.Rotation> rotation = Optional.of(new Ops.Rotation(position, shape.headDim(), 100));
        Tensor weights = tensors.weights(all, width);
        Tensor dweights = tensors.zeros(all, width);
        List<Ops.Projection> projections = new ArrayList<>();
        List<Optional<Tensor>> wanted = new ArrayList<>();
        List<Tensor> made = new ArrayList<>();
        int first = 0;
        for (int i = 0; i < 3; i++) {
            Tensor weight = tensors.part(weights, first, widths[i]);
            projections.add(new Ops.Projection(weight, i < 2 ? rotation : Optional.empty()));
            wanted.add(Optional.of(tensors.part(dweights, first, widths[i])));
            made.add(tensors.rows(rows, widths[i], 0));
            first += widths[i];
        }
        Tensor x = tensors.rows(rows, width, 1);
        Tensor dy = tensors.rows(rows, width, 1);
        Tensor output = tensors.weights(width, shape.queryWidth());
        Tensor dout = tensors.rows(rows, shape.queryWidth(), 0);
        backend.matmul(dout, dy, false, output, false, false);
        Tensor out = tensors.rows(rows, shape.queryWidth(), 0);
        Tensor logSumExp = tensors.zeros(rows, shape.heads());
        backend.linears(made, x, projections);
        Tensor q = made.get(0);
        Tensor k = made.get(1);
        Tensor v = made.get(2);
        backend.attention(out, logSumExp, q, k, v, ranges, shape);

        Tensor packed = tensors.rows(rows, all, 0);
        Tensor dx = tensors.rows(rows, width, 0);
        backend.attentionGradient(packed, q, k, v, out, logSumExp, dout, ranges, shape, projections);
        backend.packedInputGradient(dx, packed, projections);
        setThenAdd(tensors, wanted, packed, x, projections);

        List<Tensor> alone =
                made.stream().map(each -> tensors.rows(rows, each.columns(), 0)).toList();
        backend.attentionBackward(
                alone.get(0), alone.get(1), alone.get(2), q, k, v, out, logSumExp, dout, ranges, shape, false);
        Tensor dxAlone = tensors.rows(rows, width, 0);
        Tensor dweightsAlone = tensors.zeros(all, width);
        first = 0;
        for (int i = 0; i < 3; i++) {
            if (i < 2) {
                backend.rope(alone.get(i), alone.get(i), position, shape.headDim(), 100, true);
            }
            backend.matmul(dxAlone, alone.get(i), false, projections.get(i).weight(), false, i > 0);
            backend.matmul(tensors.part(dweightsAlone, first, widths[i]), alone.get(i), true, x, false, true);
            first += widths[i];
        }
        tensors.expect("dx", dxAlone, dx);
        tensors.expect("dweights", dweightsAlone, dweights);

        Tensor doutAgain = tensors.rows(rows, shape.queryWidth(), 0);
        backend.attentionGradientThroughOutput(
                packed, doutAgain, q, k, v, out, logSumExp, dy, output, ranges, shape, projections);
        backend.packedInputGradient(dx, packed, projections);
        tensors.expect("dx through the output projection", dxAlone, dx);
    }

    /** Sets what arrives at the weights over something else and adds it once more, which is twice as much, and halves that. */
    private static void setThenAdd(
            Tensors tensors,
            List<Optional<Tensor>> dweights,
            Tensor packed,
            Tensor x,
            List<Ops.Projection> projections) {
        Backend backend = tensors.backend;
        dweights.forEach(dweight -> backend.fill(dweight.orElseThrow(), 7));
        backend.packedWeightGradients(dweights, packed, x, projections, false);
        backend.packedWeightGradients(dweights, packed, x, projections, true);
        dweights.forEach(dweight -> backend.affine(dweight.orElseThrow(), dweight.orElseThrow(), 0.5, 0, false));
    }

    @Test
    default void rmsNormBackwardGivesTheNormedRowsAgainWithTheBitsOfTheWayForward() {
        for (boolean accumulate : new boolean[] {false, true}) {
            for (boolean variants : new boolean[] {false, true}) {
                forEachShape((tensors, rows, width, ignored) -> {
                    Backend backend = tensors.backend;
                    Tensor x = tensors.rows(rows, width, 1);
                    Tensor weight = tensors.weights(3, width);
                    Optional<IntTensor> variant = variants
                            ? Optional.of(tensors.ints(
                                    IntStream.range(0, rows).map(i -> i % 3).toArray()))
                            : Optional.empty();
                    Tensor normed = tensors.rows(rows, width, 0);
                    Tensor rstd = tensors.zeros(rows, 1);
                    backend.rmsNorm(normed, rstd, x, weight, variant, 1e-5);
                    Tensor dy = tensors.rows(rows, width, 1);
                    Tensor dx = tensors.rows(rows, width, 1);
                    Tensor dxAlone = tensors.rows(rows, width, 0);
                    backend.copy(dxAlone, dx);
                    Tensor dweight = tensors.zeros(3, width);
                    Tensor dweightAlone = tensors.zeros(3, width);
                    Tensor again = tensors.rows(rows, width, 0);
                    backend.rmsNormBackward(dx, dweight, again, x, rstd, weight, variant, 1e-5, dy, accumulate);
                    backend.rmsNormBackward(dxAlone, dweightAlone, x, rstd, weight, variant, dy, accumulate);
                    assertArrayEquals(backend.readDoubles(normed), backend.readDoubles(again), rows + " rows");
                    tensors.expect("dx", dxAlone, dx);
                    tensors.expect("dweight", dweightAlone, dweight);
                });
            }
        }
    }

    /** A check at one size. */
    @FunctionalInterface
    interface AtShape {
        /** Runs it. */
        void check(Tensors tensors, int rows, int width, int feedForward);
    }

    private void forEachShape(AtShape check) {
        for (int[] widths : WIDTHS) {
            for (int rows : ROWS) {
                try (Tensors tensors = new Tensors(bench().subject())) {
                    check.check(tensors, rows, widths[0], widths[1]);
                }
            }
        }
    }

    /** Rows, the weight of a norm, and what is made of both. */
    final class NormedRows {
        private final Tensors tensors;
        private final Ops.Norm taken;

        private NormedRows(Tensors tensors, int rows, int width) {
            this.tensors = tensors;
            this.taken = new Ops.Norm(
                    tensors.rows(rows, width, 3),
                    tensors.weights(1, width),
                    Optional.empty(),
                    1e-5,
                    tensors.zeros(rows, 1));
        }

        /**
         * The layers, given memory for the norm, against themselves behind the norm: with the weights as they are, after a step of the optimizer on all
         * of them, and after new values of the norm's weight.
         */
        private void checkBeforeAndAfterSteps(
                boolean wantsNormed,
                List<Tensor> weights,
                List<Tensor> made,
                List<Tensor> alone,
                Consumer<Tensor> together,
                Consumer<Tensor> behindNorm) {
            Backend backend = tensors.backend;
            check("at first", wantsNormed, made, alone, together, behindNorm);
            Tensor one = tensors.zeros(1, 1);
            backend.fill(one, 1);
            for (Tensor parameter :
                    Stream.concat(weights.stream(), Stream.of(taken.weight())).toList()) {
                Tensor gradient = tensors.weights(parameter.rows(), parameter.columns());
                Tensor first = tensors.zeros(parameter.rows(), parameter.columns());
                Tensor second = tensors.zeros(parameter.rows(), parameter.columns());
                backend.adamW(parameter, gradient, first, second, one, new AdamWStep(0.2, 0.9, 0.95, 1e-8, 0, 1));
            }
            check("after a step", wantsNormed, made, alone, together, behindNorm);
            tensors.filled(taken.weight(), 1);
            check("after new values of the norm's weight", wantsNormed, made, alone, together, behindNorm);
        }

        private void check(
                String when,
                boolean wantsNormed,
                List<Tensor> made,
                List<Tensor> alone,
                Consumer<Tensor> together,
                Consumer<Tensor> behindNorm) {
            Backend backend = tensors.backend;
            int rows = taken.x().rows();
            Tensor normed = tensors.rows(rows, taken.x().columns(), 0);
            together.accept(normed);
            Tensor normedAlone = tensors.rows(rows, taken.x().columns(), 0);
            Tensor rstd = tensors.zeros(rows, 1);
            backend.rmsNorm(normedAlone, rstd, taken.x(), taken.weight(), taken.variant(), taken.epsilon());
            behindNorm.accept(normedAlone);
            assertArrayEquals(backend.readDoubles(rstd), backend.readDoubles(taken.rstd()), "rstd " + when);
            if (wantsNormed) {
                assertArrayEquals(backend.readDoubles(normedAlone), backend.readDoubles(normed), "normed " + when);
            }
            for (int i = 0; i < made.size(); i++) {
                tensors.expect("result " + i + " " + when, alone.get(i), made.get(i));
            }
        }
    }

    /** The weights of a feed-forward, gate and up one after the other in memory, as a model's are. */
    final class FeedForward {
        private final Tensor gate;
        private final Tensor up;
        private final Tensor down;
        private final Tensor dweights;
        private final List<Ops.Projection> projections;
        private final List<Optional<Tensor>> wanted;

        private FeedForward(Tensors tensors, int width, int feedForward) {
            Tensor weights = tensors.weights(2 * feedForward, width);
            this.gate = tensors.part(weights, 0, feedForward);
            this.up = tensors.part(weights, feedForward, feedForward);
            this.down = tensors.weights(width, feedForward);
            this.dweights = tensors.zeros(2 * feedForward, width);
            this.projections =
                    List.of(new Ops.Projection(gate, Optional.empty()), new Ops.Projection(up, Optional.empty()));
            this.wanted = List.of(
                    Optional.of(tensors.part(dweights, 0, feedForward)),
                    Optional.of(tensors.part(dweights, feedForward, feedForward)));
        }

        private List<Optional<Tensor>> wanted() {
            return wanted;
        }
    }

    /** Tensors of one check, with random values of one seed. */
    final class Tensors implements AutoCloseable {
        private final Backend backend;
        private final Random random = new Random(7);
        private final List<Tensor> held = new ArrayList<>();
        private final List<IntTensor> heldInts = new ArrayList<>();

        private Tensors(Backend backend) {
            this.backend = backend;
        }

        private Tensor holding(Tensor tensor, double scale) {
            held.add(tensor);
            return filled(tensor, scale);
        }

        private Tensor filled(Tensor tensor, double scale) {
            backend.write(
                    tensor,
                    random.doubles((long) tensor.rows() * tensor.columns(), -1, 1)
                            .map(value -> scale * value)
                            .toArray());
            return tensor;
        }

        private Tensor rows(int rows, int columns, double scale) {
            return holding(backend.allocate(rows, columns, backend.activationPrecision(columns)), scale);
        }

        private List<Tensor> likeEach(int rows, int... columns) {
            return IntStream.of(columns).mapToObj(each -> rows(rows, each, 0)).toList();
        }

        private Tensor weights(int rows, int columns) {
            return holding(backend.allocate(rows, columns), 1 / Math.sqrt(columns));
        }

        private Tensor zeros(int rows, int columns) {
            return holding(backend.allocate(rows, columns), 0);
        }

        private Tensor part(Tensor matrix, int first, int rows) {
            return backend.view(matrix, first, Extent.exact(rows), matrix.columns());
        }

        private IntTensor ints(int... values) {
            IntTensor tensor = backend.allocateInts(values.length);
            heldInts.add(tensor);
            backend.write(tensor, values);
            return tensor;
        }

        /** The same up to rounding, measured on the whole. */
        private void expect(String what, Tensor expected, Tensor actual) {
            double[] a = backend.readDoubles(expected);
            double[] b = backend.readDoubles(actual);
            double difference = 0;
            double size = 0;
            for (int i = 0; i < a.length; i++) {
                difference += (a[i] - b[i]) * (a[i] - b[i]);
                size += a[i] * a[i];
            }
            double relative = Math.sqrt(difference / Math.max(size, 1e-30));
            double allowed = switch (backend.activationPrecision(64)) {
                case FLOAT64 -> 1e-13;
                case FLOAT32 -> 1e-5;
                case BFLOAT16 -> 0.01;
            };
            assertTrue(
                    relative <= allowed,
                    () -> what + " [" + expected.rows() + ", " + expected.columns() + "]: " + relative
                            + " away from the steps one by one, " + allowed + " allowed");
        }

        @Override
        public void close() {
            held.forEach(backend::release);
            heldInts.forEach(backend::release);
        }
    }
}
