package io.mor.backend.cpu;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Kernels that treat each row alone: a factor or a term for each, sums, softmax, the largest element, the loss. */
final class RowKernels extends KernelFamily {

    private final ElementwiseKernels elementwise;

    RowKernels(Memory memory, Workers workers, ElementwiseKernels elementwise) {
        super(memory, workers);
        this.elementwise = elementwise;
    }

    void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor f = of(factors);
        if (o.columns() == 1) {
            elementwise.multiply(out, x, factors, accumulate);
            return;
        }
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.scale(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        f.values()[f.offset() + i],
                        accumulate,
                        o.columns()));
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.add(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        b.values(),
                        b.offset(),
                        1f,
                        o.columns()));
    }

    void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.multiply(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        b.values(),
                        b.offset(),
                        accumulate,
                        o.columns()));
    }

    void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(column);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.broadcast(
                        o.values(), o.rowOffset(i), a.values()[a.offset() + i], accumulate, o.columns()));
    }

    void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.scale(
                        o.values(), o.rowOffset(i), a.values(), a.offset(), (float) scale, accumulate, o.columns()));
    }

    void rowSum(Tensor out, Tensor x, boolean accumulate) {
        CpuTensor a = of(x);
        rowResult(out, a.columns(), accumulate, i -> Elementwise.sum(a.values(), a.rowOffset(i), a.columns()));
    }

    void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        rowResult(
                out,
                x.columns(),
                accumulate,
                i -> Elementwise.dot(x.values(), x.rowOffset(i), y.values(), y.rowOffset(i), x.columns()));
    }

    void rowLogSumExp(Tensor out, Tensor x) {
        CpuTensor a = of(x);
        rowResult(out, 4 * a.columns(), false, i -> logSumExp(a, i));
    }

    private static float logSumExp(CpuTensor x, int row) {
        float largest = Elementwise.largest(x.values(), x.rowOffset(row), x.columns());
        if (largest == Float.POSITIVE_INFINITY) {
            return largest;
        }
        float shift = largest == Float.NEGATIVE_INFINITY
                ? 0
                : largest; // all are: ln 0; or there are NaN, which the sum keeps
        return (float) (shift + Math.log(Elementwise.sumOfExp(x.values(), x.rowOffset(row), shift, x.columns())));
    }

    void softmax(Tensor out, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        int columns = o.columns();
        eachRow(rows(out), 4 * columns, i -> {
            float largest = Elementwise.largest(a.values(), a.rowOffset(i), columns);
            float total = Elementwise.expOfDifference(
                    o.values(), o.rowOffset(i), a.values(), a.rowOffset(i), largest, columns);
            Elementwise.scale(o.values(), o.rowOffset(i), o.values(), o.rowOffset(i), 1 / total, false, columns);
        });
    }

    void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        CpuTensor d = written(dx);
        CpuTensor a = of(y);
        CpuTensor g = of(dy);
        int columns = d.columns();
        eachRow(rows(dx), 2 * columns, i -> {
            float dot = Elementwise.dot(a.values(), a.rowOffset(i), g.values(), g.rowOffset(i), columns);
            Elementwise.softmaxBackward(
                    d.values(),
                    d.rowOffset(i),
                    a.values(),
                    a.rowOffset(i),
                    g.values(),
                    g.rowOffset(i),
                    dot,
                    accumulate,
                    columns);
        });
    }

    void argMax(IntTensor out, Tensor x) {
        CpuInts o = of(out);
        CpuTensor a = of(x);
        eachRow(rows(x), a.columns(), i -> o.set(i, Selection.argMax(a.values(), a.rowOffset(i), a.columns())));
    }

    void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        CpuTensor a = of(logits);
        CpuInts wanted = of(target);
        rowResult(
                out,
                4 * a.columns(),
                false,
                i -> logSumExp(a, i) - a.values()[a.rowOffset(i) + checkedColumn(wanted, i, a)]);
    }

    void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        CpuTensor d = written(dlogits);
        CpuTensor a = of(logits);
        CpuInts wanted = of(target);
        CpuTensor g = of(dy);
        int columns = a.columns();
        eachRow(rows(dlogits), 8 * columns, i -> {
            float gradient = g.values()[g.offset() + i];
            int at = d.rowOffset(i);
            float shift = logSumExp(a, i);
            Elementwise.expOfDifference(d.values(), at, a.values(), a.rowOffset(i), shift, columns);
            Elementwise.scale(d.values(), at, d.values(), at, gradient, false, columns);
            d.values()[at + checkedColumn(wanted, i, a)] -= gradient;
        });
    }
}
