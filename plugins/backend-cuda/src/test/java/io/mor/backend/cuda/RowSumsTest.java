package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Norms whose rows need not be read, because the product that made them has brought their squares. Needs a GPU. */
@RequiresGpu
class RowSumsTest {

    private static final int ROWS = 8192 + 131;
    private static final int WIDTH = 576;
    private static final int INNER = 192;
    private static final double EPSILON = 1e-5;

    private final SplittableRandom random = new SplittableRandom(37);
    private CudaBackend backend;

    @BeforeEach
    void open() {
        backend = Gpu.open(CudaMode.FAST, CudaPrecision.BF16);
    }

    @AfterEach
    void close() {
        backend.close();
    }

    @Test
    void aNormBehindAProductWithAResidualIsThatOfItsRows() {
        for (int width : new int[] {WIDTH, 320, 72}) {
            Tensor x = sum(width);
            rstdIsThatOf("right behind the product", x);
            rstdIsThatOf("once more", x);
        }
    }

    @Test
    void whatWasWrittenToTheRowsSinceIsSeen() {
        Tensor x = sum(WIDTH);
        Tensor other = sum(WIDTH); // the sums of the first are lost
        rstdIsThatOf("the first of two", x);
        backend.affine(other, other, 3, 0, false);
        rstdIsThatOf("rows written by a kernel", other);
        Tensor again = sum(WIDTH);
        fill(again, 7);
        rstdIsThatOf("rows written by the host", again);
    }

    @Test
    void memoryOfTheSameAddressIsNotTakenForTheRows() {
        Tensor x = sum(WIDTH);
        backend.release(x);
        rstdIsThatOf("other rows", rows(WIDTH, 5));
    }

    @Test
    void normedRowsOnDemandChangeNoBitOfWhatIsMadeOfThem() {
        Tensor x = sum(WIDTH);
        List<double[]> without = made(x, false);
        List<double[]> with = made(x, true);
        for (int i = 0; i < without.size(); i++) {
            assertArrayEquals(without.get(i), with.get(i), "tensor " + i);
        }
    }

    private Tensor sum(int width) {
        Tensor out = rows(width, 0);
        backend.matmulAdd(out, rows(width, 1), rows(INNER, 1), false, fill(backend.allocate(width, INNER), 0.2), true);
        return out;
    }

    /** rstd of a gated unit of the norm of x, gate, up and their product; the seed makes weights the same each time. */
    private List<double[]> made(Tensor x, boolean wantsNormed) {
        SplittableRandom same = new SplittableRandom(3);
        int width = x.columns();
        Tensor weight = fill(backend.allocate(1, width), 1, same);
        Tensor weights = fill(backend.allocate(128, width), 0.1, same);
        Tensor rstd = backend.allocate(ROWS, 1);
        Tensor gate = rows(64, 0);
        Tensor up = rows(64, 0);
        Tensor inner = rows(64, 0);
        backend.normedGatedLinears(
                gate,
                up,
                inner,
                rows(width, 0),
                wantsNormed,
                new Ops.Norm(x, weight, Optional.empty(), EPSILON, rstd),
                backend.view(weights, 0, Extent.exact(64), width),
                backend.view(weights, 64, Extent.exact(64), width));
        return List.of(
                backend.readDoubles(rstd),
                backend.readDoubles(gate),
                backend.readDoubles(up),
                backend.readDoubles(inner));
    }

    private void rstdIsThatOf(String what, Tensor x) {
        double[] values = backend.readDoubles(x);
        double[] rstd = made(x, false).getFirst();
        for (int row = 0; row < ROWS; row++) {
            double squares = 0;
            for (int column = 0; column < x.columns(); column++) {
                double value = values[row * x.columns() + column];
                squares += value * value;
            }
            double wanted = 1 / Math.sqrt(squares / x.columns() + EPSILON);
            assertEquals(wanted, rstd[row], 1e-5 * wanted, what + ", row " + row + " of " + x.columns());
        }
    }

    private Tensor rows(int columns, double scale) {
        return fill(backend.allocate(ROWS, columns, backend.activationPrecision(columns)), scale);
    }

    private Tensor fill(Tensor tensor, double scale) {
        return fill(tensor, scale, random);
    }

    private Tensor fill(Tensor tensor, double scale, SplittableRandom source) {
        double[] values = new double[tensor.rows() * tensor.columns()];
        for (int i = 0; i < values.length; i++) {
            values[i] = scale * (2 * source.nextDouble() - 1);
        }
        backend.write(tensor, values);
        return tensor;
    }
}
