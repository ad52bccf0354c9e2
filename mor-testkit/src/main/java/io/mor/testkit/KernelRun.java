package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntUnaryOperator;

/**
 * One call of a kernel on one backend: makes operands with reproducible values and takes results.
 *
 * <p>Rows between the count and the bound hold NaN, indices there are far out of bounds, so that reading them shows. Most operands are
 * views with a guard row on either side, which {@link #close} checks. Every value is exact in the tested backend's precision.
 *
 * <p>Thread safety: one thread.
 */
public final class KernelRun implements AutoCloseable {

    /** Exact in every precision. */
    private static final double GUARD = 768;

    private static final int FAR_OUT_OF_BOUNDS = 0x3fff_ffff;

    private final Backend backend;
    private final Precision rounding;
    private final Tolerance tolerance;
    private final Batch batch;
    private final int columns;
    private final boolean accumulate;
    private final Extent extent;
    private final List<Result> results = new ArrayList<>();
    private final List<Runnable> guards = new ArrayList<>();
    private final List<Tensor> tensors = new ArrayList<>();
    private final List<IntTensor> vectors = new ArrayList<>();

    KernelRun(Backend backend, Precision rounding, Tolerance tolerance, Batch batch, int columns, boolean accumulate) {
        this.backend = backend;
        this.rounding = rounding;
        this.tolerance = tolerance;
        this.batch = batch;
        this.columns = columns;
        this.accumulate = accumulate;
        this.extent = batch.counted()
                ? Extent.counted(batch.bound(), vector(new int[] {batch.rows()}))
                : Extent.exact(batch.bound());
    }

    /** How far a result may be from the exact one. */
    @FunctionalInterface
    interface Tolerance {
        /** The largest difference, relative to the larger of 1 and the exact value, for sums of this many terms. */
        double of(int terms);
    }

    /**
     * Values of one result.
     *
     * @param perRow whether rows correspond to the batch's rows
     */
    record Result(String name, boolean perRow, int terms, int columns, double[] values) {}

    /** The backend of this run. */
    public Backend backend() {
        return backend;
    }

    /** The rows of this run. */
    public Batch batch() {
        return batch;
    }

    /** The rows' extent. */
    public Extent extent() {
        return extent;
    }

    /** Rows in use. */
    public int rows() {
        return batch.rows();
    }

    /** The columns to test with. */
    public int columns() {
        return columns;
    }

    /** Whether the kernel is to add to its result. */
    public boolean accumulate() {
        return accumulate;
    }

    /** Uniform numbers in [-1, 1) for the rows of the batch. */
    public Operand rows(String name, int width) {
        return rows(name, width, -1, 1);
    }

    /** Uniform numbers in [low, high) for the rows of the batch. */
    public Operand rows(String name, int width, double low, double high) {
        int[] identities = batch.identities();
        return rows(name, width, (row, column) -> uniform(name, identities[row], column, low, high));
    }

    /** Values for the rows of the batch. */
    public Operand rows(String name, int width, Operand.Cell values) {
        return rows(name, width, backend.activationPrecision(width), values); // rows are what layers make
    }

    private Operand rows(String name, int width, Precision stored, Operand.Cell values) {
        double[] all = new double[batch.bound() * width];
        Arrays.fill(all, Double.NaN);
        for (int row = 0; row < rows(); row++) {
            for (int column = 0; column < width; column++) {
                all[row * width + column] = round(values.at(row, column));
            }
        }
        return operand(name, all, width, extent, rows(), Optional.of(stored));
    }

    /** Uniform numbers in [low, high) for the rows of the batch, in full precision as the moments of an optimizer. */
    public Operand fullRows(String name, int width, double low, double high) {
        int[] identities = batch.identities();
        return rows(
                name, width, backend.precision(), (row, column) -> uniform(name, identities[row], column, low, high));
    }

    /** Uniform numbers in [-1, 1), the same for every batch. */
    public Operand matrix(String name, int rows, int width) {
        return matrix(name, rows, width, -1, 1);
    }

    /** Uniform numbers in [low, high), the same for every batch. */
    public Operand matrix(String name, int rows, int width, double low, double high) {
        return matrix(name, rows, width, (row, column) -> uniform(name, row, column, low, high));
    }

    /** Values, the same for every batch. */
    public Operand matrix(String name, int rows, int width, Operand.Cell values) {
        double[] all = new double[rows * width];
        for (int i = 0; i < all.length; i++) {
            all[i] = round(values.at(i / width, i % width));
        }
        return operand(name, all, width, Extent.exact(rows), rows, Optional.empty());
    }

    /** Integers for the rows of the batch, by a row's identity. */
    public IntOperand rowInts(String name, IntUnaryOperator ofIdentity) {
        int[] identities = batch.identities();
        int[] all = new int[batch.bound()];
        Arrays.fill(all, FAR_OUT_OF_BOUNDS);
        for (int row = 0; row < rows(); row++) {
            all[row] = ofIdentity.applyAsInt(identities[row]);
        }
        return new IntOperand(this, name, vector(all), all, rows(), true);
    }

    /** Reproducible integers in 0 .. bound - 1 for the rows of the batch. */
    public IntOperand rowIndices(String name, int bound) {
        return rowInts(name, identity -> (int) (uniform(name, identity, 0, 0, 1) * bound));
    }

    /** Integers, the same for every batch. */
    public IntOperand ints(String name, int... values) {
        return new IntOperand(this, name, vector(values), values.clone(), values.length, false);
    }

    /** A reproducible number in [low, high), not rounded. */
    public double uniform(String name, int high, int low, double from, double to) {
        return from + (to - from) * RandomKey.of(2025, name, 0).uniform(high, low);
    }

    List<Result> results() {
        return List.copyOf(results);
    }

    void record(Result result) {
        results.add(result);
    }

    double tolerance(int terms) {
        return tolerance.of(terms);
    }

    /** Whether two values are the same within a tolerance relative to the larger of 1 and the expected one. */
    static boolean close(double expected, double actual, double tolerance) {
        if (Double.isNaN(expected) || Double.isInfinite(expected)) {
            return Double.compare(expected, actual) == 0;
        }
        return Math.abs(expected - actual) <= tolerance * Math.max(1, Math.abs(expected));
    }

    private double round(double value) {
        return round(value, rounding);
    }

    /** The nearest number of a precision; for bfloat16 ties go to even. */
    static double round(double value, Precision precision) {
        return switch (precision) {
            case FLOAT64 -> value;
            case FLOAT32 -> (float) value;
            case BFLOAT16 -> {
                int bits = Float.floatToRawIntBits((float) value);
                yield Double.isNaN(value)
                        ? value
                        : Float.intBitsToFloat((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
            }
        };
    }

    private Operand operand(
            String name, double[] values, int width, Extent rowExtent, int used, Optional<Precision> ofRows) {
        int bound = rowExtent.bound();
        boolean perRow = ofRows.isPresent();
        Precision stored = ofRows.orElse(backend.precision()); // a matrix is a weight
        if (rowExtent.isExact() && bound % 2 == 0) {
            Tensor plain = backend.allocate(bound, width, stored);
            tensors.add(plain);
            backend.write(plain, values);
            return new Operand(this, name, plain, values, used, perRow);
        }
        Tensor base = backend.allocate(bound + 2, width, stored);
        tensors.add(base);
        double[] guarded = new double[values.length + 2 * width];
        Arrays.fill(guarded, GUARD);
        System.arraycopy(values, 0, guarded, width, values.length);
        backend.write(base, guarded);
        guards.add(() -> {
            double[] after = backend.readDoubles(base);
            for (int column = 0; column < width; column++) {
                if (after[column] != GUARD || after[width + values.length + column] != GUARD) {
                    throw new AssertionError("the kernel wrote outside of " + name + ", beside column " + column);
                }
            }
        });
        return new Operand(this, name, backend.view(base, 1, rowExtent, width), values, used, perRow);
    }

    private IntTensor vector(int[] values) {
        IntTensor base = backend.allocateInts(values.length + 2);
        vectors.add(base);
        int[] guarded = new int[values.length + 2];
        Arrays.fill(guarded, (int) GUARD);
        System.arraycopy(values, 0, guarded, 1, values.length);
        backend.write(base, guarded);
        guards.add(() -> {
            int[] after = backend.readInts(base);
            if (after[0] != (int) GUARD || after[after.length - 1] != (int) GUARD) {
                throw new AssertionError("the kernel wrote outside of a vector of " + values.length + " integers");
            }
        });
        return backend.view(base, 1, values.length);
    }

    /** Checks the guards and gives the memory back. */
    @Override
    public void close() {
        try {
            guards.forEach(Runnable::run);
        } finally {
            tensors.forEach(backend::release);
            vectors.forEach(backend::release);
        }
    }
}
