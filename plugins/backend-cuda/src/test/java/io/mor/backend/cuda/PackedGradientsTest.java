package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Gradients of whole layers, from what arrives at their end to the rows before their norm, beside the same in separate passes. Needs a GPU. */
@RequiresGpu
class PackedGradientsTest {

    private static final long SEED = 31;
    private static final double MOST = 8e-3; // of the norm; the separate passes round twice more
    private static final double EPSILON = 1e-5;

    private CudaBackend backend;
    private SplittableRandom random;

    @BeforeEach
    void open() {
        backend = Gpu.open(CudaMode.FAST, CudaPrecision.BF16);
        random = new SplittableRandom(SEED);
    }

    @AfterEach
    void close() {
        backend.close();
    }

    @Test
    void whatArrivesAtAttentionGoesThroughTheNormAsInSeparatePasses() {
        attention(576, new AttentionShape(9, 3, 64), 4200, 1400);
        attention(960, new AttentionShape(15, 5, 64), 4099, 683);
        attention(960, new AttentionShape(15, 5, 64), 6000, 3000);
        attention(576, new AttentionShape(9, 3, 64), 300, 300); // fewer rows than the one pass takes
    }

    @Test
    void whatArrivesBehindAnAttentionGoesThroughItsOutputProjectionAsInSeparatePasses() {
        throughOutput(576, new AttentionShape(9, 3, 64), 4200, 1400);
        throughOutput(960, new AttentionShape(15, 5, 64), 4099, 683);
        throughOutput(320, new AttentionShape(4, 2, 64), 5000, 5000); // heads that do not fill the last tile
        throughOutput(576, new AttentionShape(9, 3, 64), 300, 300); // fewer rows than the one pass takes
    }

    @Test
    void whatArrivesAtAGatedUnitGoesThroughTheNormAsInSeparatePasses() {
        gated(576, 1536, 4200);
        gated(960, 2560, 4099);
        gated(960, 320, 300);
    }

    /** A norm that was taken, and its result. */
    private record Normed(Ops.Norm norm, Tensor rows) {}

    private Normed normed(int rows, int width) {
        Tensor x = rows(rows, width, 2);
        Tensor weight = filled(backend.allocate(1, width), 1);
        Tensor rstd = backend.allocate(rows, 1);
        Tensor normed = rows(rows, width, 0);
        backend.rmsNorm(normed, rstd, x, weight, Optional.empty(), EPSILON);
        return new Normed(new Ops.Norm(x, weight, Optional.empty(), EPSILON, rstd), normed);
    }

    /** An attention of normed rows in sequences of one length, and room for its gradients. */
    private record Attention(
            Normed normed,
            AttentionShape shape,
            AttentionRanges ranges,
            List<Ops.Projection> projections,
            List<Tensor> made,
            Tensor out,
            Tensor logSumExp,
            Tensor packed) {}

    private void attention(int width, AttentionShape shape, int rows, int length) {
        Attention of = attend(width, shape, rows, length);
        Tensor dout = rows(rows, shape.queryWidth(), 1);
        compare(
                "attention of " + shape + ", " + rows + " rows in sequences of " + length,
                of.normed,
                of.packed,
                of.projections,
                () -> gradient(of, dout));
    }

    private void gradient(Attention of, Tensor dout) {
        backend.attentionGradient(
                of.packed,
                of.made.get(0),
                of.made.get(1),
                of.made.get(2),
                of.out,
                of.logSumExp,
                dout,
                of.ranges,
                of.shape,
                of.projections);
    }

    private void throughOutput(int width, AttentionShape shape, int rows, int length) {
        Attention of = attend(width, shape, rows, length);
        Tensor dy = rows(rows, width, 1);
        Tensor output = filled(backend.allocate(width, shape.queryWidth()), 1 / Math.sqrt(width));
        Tensor dout = rows(rows, shape.queryWidth(), 0);
        List<double[]> results = new ArrayList<>();
        for (int run = 0; run < 2; run++) {
            backend.fill(dout, 7);
            backend.fill(of.packed, 7);
            backend.attentionGradientThroughOutput(
                    of.packed,
                    dout,
                    of.made.get(0),
                    of.made.get(1),
                    of.made.get(2),
                    of.out,
                    of.logSumExp,
                    dy,
                    output,
                    of.ranges,
                    shape,
                    of.projections);
            results.add(backend.readDoubles(of.packed));
        }
        Tensor alone = rows(rows, shape.queryWidth(), 0);
        backend.matmul(alone, dy, false, output, false, false);
        gradient(of, alone);
        String what = "attention of " + shape + ", " + rows + " rows in sequences of " + length;
        assertClose(what + ": gradients", backend.readDoubles(of.packed), results.getFirst());
        assertArrayEquals(results.get(0), results.get(1), what + ": the same bits each time");
    }

    private Attention attend(int width, AttentionShape shape, int rows, int length) {
        Normed normed = normed(rows, width);
        IntTensor position =
                ints(IntStream.range(0, rows).map(row -> row % length).toArray());
        IntTensor start =
                ints(IntStream.range(0, rows).map(row -> row - row % length).toArray());
        IntTensor end = ints(IntStream.range(0, rows).map(row -> row + 1).toArray());
        AttentionRanges ranges = new AttentionRanges(start, end, Optional.empty(), Math.min(rows, length));
        Optional<Ops.Rotation> rotation = Optional.of(new Ops.Rotation(position, 64, 10_000));
        int[] widths = {shape.queryWidth(), shape.kvWidth(), shape.kvWidth()};
        List<Ops.Projection> projections = projections(widths, width, rotation);
        List<Tensor> made = new ArrayList<>();
        for (int each : widths) {
            made.add(rows(rows, each, 0));
        }
        backend.linears(made, normed.rows, projections);
        Tensor out = rows(rows, shape.queryWidth(), 0);
        Tensor logSumExp = backend.allocate(rows, shape.heads());
        backend.attention(out, logSumExp, made.get(0), made.get(1), made.get(2), ranges, shape);
        Tensor packed = rows(rows, IntStream.of(widths).sum(), 0);
        return new Attention(normed, shape, ranges, projections, made, out, logSumExp, packed);
    }

    private void gated(int width, int feedForward, int rows) {
        Normed normed = normed(rows, width);
        List<Ops.Projection> projections = projections(new int[] {feedForward, feedForward}, width, Optional.empty());
        Tensor down = filled(backend.allocate(width, feedForward), 1 / Math.sqrt(feedForward));
        Tensor gate = rows(rows, feedForward, 0);
        Tensor up = rows(rows, feedForward, 0);
        Tensor inner = rows(rows, feedForward, 0);
        backend.gatedLinears(
                gate,
                up,
                inner,
                normed.rows,
                projections.get(0).weight(),
                projections.get(1).weight());
        Tensor dout = rows(rows, width, 1);
        Tensor packed = rows(rows, 2 * feedForward, 0);
        Tensor again = rows(rows, feedForward, 0);
        compare(
                "a gated unit of " + width + " to " + feedForward + ", " + rows + " rows",
                normed,
                packed,
                projections,
                () -> backend.gatedLinearsGradient(packed, again, true, gate, up, dout, down, projections));
    }

    private void compare(
            String what, Normed normed, Tensor packed, List<Ops.Projection> projections, Runnable gradient) {
        Ops.Norm norm = normed.norm;
        int rows = norm.x().rows();
        int width = norm.x().columns();
        Tensor before = rows(rows, width, 1);
        List<double[]> results = new ArrayList<>();
        for (boolean wantsNormed : new boolean[] {true, true, false}) {
            Tensor dx = rows(rows, width, 0);
            backend.copy(dx, before);
            Tensor dweight = filled(backend.allocate(1, width), 0);
            Tensor again = rows(rows, width, 0);
            gradient.run();
            backend.packedInputGradientThroughNorm(
                    dx,
                    dweight,
                    wantsNormed ? Optional.of(again) : Optional.empty(),
                    rows(rows, width, 0),
                    packed,
                    projections,
                    norm,
                    true);
            results.add(backend.readDoubles(dx));
            results.add(backend.readDoubles(dweight));
            if (wantsNormed) {
                assertArrayEquals(
                        backend.readDoubles(normed.rows), backend.readDoubles(again), what + ": the normed rows");
            }
        }
        Tensor dnormed = rows(rows, width, 0);
        Tensor dx = rows(rows, width, 0);
        Tensor dweight = filled(backend.allocate(1, width), 0);
        backend.copy(dx, before);
        backend.packedInputGradient(dnormed, packed, projections);
        backend.rmsNormBackward(dx, dweight, norm.x(), norm.rstd(), norm.weight(), Optional.empty(), dnormed, true);
        assertClose(what + ": slope", backend.readDoubles(dx), results.get(0));
        assertClose(what + ": weight's gradient", backend.readDoubles(dweight), results.get(1));
        for (int i = 2; i < results.size(); i++) {
            assertArrayEquals(results.get(i % 2), results.get(i), what + ": the same bits each time");
        }
    }

    private List<Ops.Projection> projections(int[] widths, int inner, Optional<Ops.Rotation> rotation) {
        Tensor weights = filled(backend.allocate(IntStream.of(widths).sum(), inner), 1 / Math.sqrt(inner));
        List<Ops.Projection> projections = new ArrayList<>();
        int first = 0;
        for (int i = 0; i < widths.length; i++) {
            projections.add(new Ops.Projection(
                    backend.view(weights, first, Extent.exact(widths[i]), inner), i < 2 ? rotation : Optional.empty()));
            first += widths[i];
        }
        return projections;
    }

    private Tensor rows(int rows, int columns, double scale) {
        return filled(backend.allocate(rows, columns, backend.activationPrecision(columns)), scale);
    }

    private Tensor filled(Tensor tensor, double scale) {
        backend.write(
                tensor,
                IntStream.range(0, tensor.rows() * tensor.columns())
                        .mapToDouble(i -> scale == 0 ? 0 : scale * random.nextGaussian())
                        .toArray());
        return tensor;
    }

    private IntTensor ints(int[] values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }

    private static void assertClose(String what, double[] wanted, double[] got) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < wanted.length; i++) {
            difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
            size += wanted[i] * wanted[i];
        }
        double relative = Math.sqrt(difference / size);
        assertTrue(relative < MOST, what + ": " + relative + " of the norm, seed " + SEED);
    }
}
