package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.tape.Recomputation;
import io.mor.runtime.tape.TapeOps;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** An attention between a norm and a sum with the norm's rows, whose gradients go through both at once unless someone else has used what lies between. */
class AttentionGradientsTest {

    private static final long SEED = 41;
    private static final AttentionShape SHAPE = new AttentionShape(2, 1, 6);
    private static final int WIDTH = 12; // of the rows as of the queries
    private static final int ROWS = 7;
    private static final double EPSILON = 1e-5;
    private static final double THETA = 100;

    /** Who uses what lies between. */
    private enum Use {
        NOBODY,
        RESULT_BEFORE_THE_SUM,
        RESULT_AFTER_THE_SUM,
        RESULT_IN_TWO_SUMS,
        RESULT_NOT_IN_A_SUM,
        SUM_WITH_OTHER_ROWS,
        QUERIES,
        VALUES_BEFORE_ATTENTION,
        ROWS_BETWEEN,
        TWO_ATTENTIONS,
        RESULT_OUTSIDE_THE_LAYER
    }

    @ParameterizedTest
    @EnumSource(Use.class)
    void gradientsAreThoseOfTheSingleOperations(Use use) {
        List<double[]> wanted = gradients(use, false, Recomputation.NONE);
        for (Recomputation.Kind kind : Recomputation.Kind.values()) {
            Recomputation recomputation = new Recomputation(kind);
            List<double[]> got = gradients(use, true, recomputation);
            for (int i = 0; i < wanted.size(); i++) {
                double most = 0;
                double difference = 0;
                for (int j = 0; j < wanted.get(i).length; j++) {
                    most = Math.max(most, Math.abs(wanted.get(i)[j]));
                    difference = Math.max(difference, Math.abs(wanted.get(i)[j] - got.get(i)[j]));
                }
                assertTrue(
                        difference <= 1e-12 * most,
                        difference + " of " + most + ", parameter " + i + ", " + recomputation + ", seed " + SEED);
            }
        }
    }

    private static List<double[]> gradients(Use use, boolean fused, Recomputation recomputation) {
        SplittableRandom random = new SplittableRandom(SEED);
        List<double[]> gradients = new ArrayList<>();
        try (Backend backend = Watched.backend(new ReferenceBackend());
                MemoryPool pool = new MemoryPool(backend);
                Region region = pool.region()) {
            Tensor input = filled(region, random, ROWS);
            List<Tensor> parameters = new ArrayList<>();
            Map<Tensor, Tensor> gradientOf = new HashMap<>();
            for (int rows : new int[] {WIDTH, 1, WIDTH, 6, 6, WIDTH, WIDTH}) {
                Tensor parameter = filled(region, random, rows);
                Tensor gradient = region.allocate(rows, WIDTH);
                backend.fill(gradient, 0);
                parameters.add(parameter);
                gradientOf.put(parameter, gradient);
            }
            TapeOps ops = new TapeOps(region, false, gradientOf, recomputation, false);
            Graph graph = new Graph(ops, parameters, use, fused, region);
            Tensor rows = ops.linear(input, parameters.getFirst());
            Tensor out = ops.recomputable(rows, graph::layer);
            if (use == Use.RESULT_OUTSIDE_THE_LAYER) {
                out = ops.add(out, graph.sum(rows, graph.results.getFirst(), 6));
            }
            Tensor loss = ops.columnSum(ops.rowSum(ops.multiply(out, out)));
            ops.backward(loss, 1);
            parameters.forEach(parameter -> gradients.add(backend.readDoubles(gradientOf.get(parameter))));
        }
        return gradients;
    }

    private static Tensor filled(Region region, SplittableRandom random, int rows) {
        Tensor tensor = region.allocate(rows, WIDTH);
        region.backend()
                .write(
                        tensor,
                        IntStream.range(0, rows * WIDTH)
                                .mapToDouble(i -> 0.5 * random.nextGaussian())
                                .toArray());
        return tensor;
    }

    /** The layer in the fused operations of the tape, or in single ones. */
    private static final class Graph {
        private final Ops ops;
        private final List<Tensor>
                parameters; // of the input, the norm, queries, keys, values, the output, another output
        private final Use use;
        private final boolean fused;
        private final IntTensor position;
        private final AttentionRanges ranges;
        private final List<Tensor> results = new ArrayList<>(); // of attention

        Graph(Ops ops, List<Tensor> parameters, Use use, boolean fused, Region region) {
            this.ops = ops;
            this.parameters = parameters;
            this.use = use;
            this.fused = fused;
            this.position = region.ints(IntStream.range(0, ROWS).toArray());
            this.ranges = new AttentionRanges(
                    region.ints(new int[ROWS]),
                    region.ints(IntStream.rangeClosed(1, ROWS).toArray()),
                    Optional.empty(),
                    ROWS);
        }

        Tensor layer(Tensor rows) {
            List<Tensor> made = projected(rows);
            Tensor q = made.get(0);
            Tensor k = made.get(1);
            Tensor v = made.get(2);
            Optional<Tensor> early = use == Use.VALUES_BEFORE_ATTENTION ? Optional.of(ops.rowSum(v)) : Optional.empty();
            Tensor result = ops.attention(q, k, v, ranges, SHAPE);
            results.add(result);
            List<Tensor> others = new ArrayList<>();
            switch (use) {
                case RESULT_BEFORE_THE_SUM -> others.add(other(result));
                case ROWS_BETWEEN -> others.add(other(rows));
                case TWO_ATTENTIONS -> others.add(sum(rows, ops.attention(q, k, v, ranges, SHAPE), 6));
                default -> {}
            }
            Tensor out = switch (use) {
                case RESULT_NOT_IN_A_SUM -> ops.linear(result, parameters.get(5));
                case SUM_WITH_OTHER_ROWS -> sum(other(rows), result, 5);
                default -> sum(rows, result, 5);
            };
            switch (use) {
                case RESULT_AFTER_THE_SUM -> others.add(other(result));
                case RESULT_IN_TWO_SUMS -> others.add(sum(rows, result, 6));
                case QUERIES -> others.add(other(q));
                default -> {}
            }
            for (Tensor other : others) {
                out = ops.add(out, other);
            }
            return early.isPresent() ? ops.scaleRows(out, early.get()) : out;
        }

        private List<Tensor> projected(Tensor rows) {
            Optional<Ops.Rotation> rotation = Optional.of(new Ops.Rotation(position, SHAPE.headDim(), THETA));
            List<Ops.Projection> projections = List.of(
                    new Ops.Projection(parameters.get(2), rotation),
                    new Ops.Projection(parameters.get(3), rotation),
                    new Ops.Projection(parameters.get(4), Optional.empty()));
            if (fused) {
                return ops.normedLinears(rows, parameters.get(1), Optional.empty(), EPSILON, projections);
            }
            Tensor normed = ops.rmsNorm(rows, parameters.get(1), Optional.empty(), EPSILON);
            List<Tensor> made = new ArrayList<>();
            for (Ops.Projection projection : projections) {
                Tensor each = ops.linear(normed, projection.weight());
                made.add(projection.rotation().isPresent() ? ops.rope(each, position, SHAPE.headDim(), THETA) : each);
            }
            return made;
        }

        Tensor sum(Tensor rows, Tensor result, int parameter) {
            Tensor weight = parameters.get(parameter);
            return fused ? ops.addLinear(rows, result, weight) : ops.add(rows, ops.linear(result, weight));
        }

        private Tensor other(Tensor x) {
            return ops.apply(Unary.SILU, x);
        }
    }
}
