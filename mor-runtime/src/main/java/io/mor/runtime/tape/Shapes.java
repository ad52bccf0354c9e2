package io.mor.runtime.tape;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** What operations ask of the shapes of their arguments. */
final class Shapes {

    private Shapes() {}

    static void check(boolean fits, String operation, Tensor a, Tensor b) {
        if (!fits) {
            throw new IllegalArgumentException(operation + ": " + shape(a) + " and " + shape(b) + " do not fit");
        }
    }

    static String shape(Tensor x) {
        return "[" + x.rows() + (x.extent().isExact() ? "" : " at most") + ", " + x.columns() + "]";
    }

    static void checkSame(String operation, Tensor a, Tensor b) {
        check(a.rows() == b.rows() && a.columns() == b.columns(), operation, a, b);
    }

    static void checkColumn(String operation, Tensor x, Tensor column) {
        check(column.columns() == 1 && column.rows() == x.rows(), operation, x, column);
    }

    static void checkRow(String operation, Tensor x, Tensor row) {
        check(row.rows() == 1 && row.columns() == x.columns(), operation, x, row);
    }

    static void checkIndex(String operation, IntTensor index, int rows) {
        if (index.length() < rows) {
            throw new IllegalArgumentException(operation + ": " + index.length() + " indices for " + rows + " rows");
        }
    }
}
