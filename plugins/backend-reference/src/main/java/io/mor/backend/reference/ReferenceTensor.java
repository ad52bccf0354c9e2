package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.Objects;

/** Rows of a {@code double[]} that views share, from an offset on. */
final class ReferenceTensor implements Tensor {

    final Lifetime lifetime;
    final double[] values;
    final int offset;
    final boolean isView;
    private final Extent extent;
    private final int columns;

    ReferenceTensor(Lifetime lifetime, double[] values, int offset, boolean isView, Extent extent, int columns) {
        this.lifetime = lifetime;
        this.values = values;
        this.offset = offset;
        this.isView = isView;
        this.extent = extent;
        this.columns = columns;
    }

    @Override
    public Extent extent() {
        return extent;
    }

    @Override
    public int columns() {
        return columns;
    }

    /** Elements up to the bound. */
    int size() {
        return rows() * columns;
    }

    double get(int row, int column) {
        return values[index(row, column)];
    }

    void set(int row, int column, double value) {
        values[index(row, column)] = value;
    }

    void add(int row, int column, double value) {
        values[index(row, column)] += value;
    }

    /** Adds or sets. */
    void put(int row, int column, double value, boolean accumulate) {
        int index = index(row, column);
        values[index] = accumulate ? values[index] + value : value;
    }

    private int index(int row, int column) {
        Objects.checkIndex(row, extent.bound());
        Objects.checkIndex(column, columns);
        return offset + row * columns + column;
    }

    @Override
    public String toString() {
        return "tensor [" + rows() + ", " + columns + "]";
    }
}
