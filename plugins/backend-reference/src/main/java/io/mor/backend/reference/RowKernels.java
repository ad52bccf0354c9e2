package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Kernels over rows and columns: broadcasts, sums, softmax, the norm, the loss. */
final class RowKernels extends KernelFamily {

    RowKernels(Memory memory) {
        super(memory);
    }

    void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceTensor factor = of(factors);
        eachElement(out, accumulate, (row, column) -> from.get(row, column) * factor.get(row, 0));
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        ReferenceTensor from = of(x);
        ReferenceTensor term = of(row);
        eachElement(out, false, (i, column) -> from.get(i, column) + term.get(0, column));
    }

    void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceTensor factor = of(row);
        eachElement(out, accumulate, (i, column) -> from.get(i, column) * factor.get(0, column));
    }

    void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        ReferenceTensor from = of(column);
        eachElement(out, accumulate, (row, ignored) -> from.get(row, 0));
    }

    void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        ReferenceTensor from = of(row);
        eachElement(out, accumulate, (ignored, column) -> scale * from.get(0, column));
    }

    void rowSum(Tensor out, Tensor x, boolean accumulate) {
        ReferenceTensor from = of(x);
        eachElement(out, accumulate, (row, ignored) -> sum(from.columns(), column -> from.get(row, column)));
    }

    void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(
                out,
                accumulate,
                (row, ignored) -> sum(left.columns(), column -> left.get(row, column) * right.get(row, column)));
    }

    void rowLogSumExp(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, (row, ignored) -> logSumExp(from, row));
    }

    void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        ReferenceTensor from = of(x);
        int rows = rows(x);
        eachElement(out, accumulate, (ignored, column) -> scale * sum(rows, row -> from.get(row, column)));
    }

    void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        int rows = rows(a);
        eachElement(
                out,
                accumulate,
                (ignored, column) -> scale * sum(rows, row -> left.get(row, column) * right.get(row, column)));
    }

    void reciprocalCount(Tensor out, Extent extent) {
        of(out).set(0, 0, 1.0 / Math.max(1, rows(extent)));
    }

    void softmax(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        ReferenceTensor o = of(out);
        for (int row = 0; row < rows(out); row++) {
            double largest = largest(from, row);
            double total = 0;
            for (int column = 0; column < from.columns(); column++) {
                double weight = StrictMath.exp(from.get(row, column) - largest);
                o.set(row, column, weight);
                total += weight;
            }
            for (int column = 0; column < from.columns(); column++) {
                o.set(row, column, o.get(row, column) / total);
            }
        }
    }

    void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        ReferenceTensor d = of(dx);
        ReferenceTensor value = of(y);
        ReferenceTensor gradient = of(dy);
        for (int i = 0; i < rows(dx); i++) {
            int row = i;
            double dot = sum(value.columns(), column -> gradient.get(row, column) * value.get(row, column));
            for (int column = 0; column < value.columns(); column++) {
                d.put(row, column, value.get(row, column) * (gradient.get(row, column) - dot), accumulate);
            }
        }
    }

    void argMax(IntTensor out, Tensor x) {
        ReferenceInts o = of(out);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            int best = 0;
            for (int column = 1; column < from.columns(); column++) {
                if (Functions.ranksAbove(from.get(row, column), from.get(row, best))) {
                    best = column;
                }
            }
            o.set(row, best);
        }
    }

    void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        ReferenceTensor o = of(out);
        ReferenceTensor reciprocal = of(rstd);
        ReferenceTensor from = of(x);
        ReferenceTensor scale = of(weight);
        for (int i = 0; i < rows(out); i++) {
            int row = i;
            double meanSquare =
                    sum(from.columns(), column -> from.get(row, column) * from.get(row, column)) / from.columns();
            reciprocal.set(row, 0, 1 / Math.sqrt(meanSquare + epsilon));
            for (int column = 0; column < from.columns(); column++) {
                o.set(
                        row,
                        column,
                        from.get(row, column) * reciprocal.get(row, 0) * scale.get(variant(variant, row), column));
            }
        }
    }

    void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate) {
        ReferenceTensor d = of(dx);
        ReferenceTensor dscale = of(dweight);
        ReferenceTensor from = of(x);
        ReferenceTensor scale = of(weight);
        ReferenceTensor gradient = of(dy);
        for (int i = 0; i < rows(dx); i++) {
            int row = i;
            int v = variant(variant, row);
            double reciprocal = of(rstd).get(row, 0);
            // y_c = w_c x_c r with r = (mean(x^2) + eps)^(-1/2), so dr/dx_c = -r^3 x_c / columns
            double dot = sum(
                    from.columns(), column -> gradient.get(row, column) * scale.get(v, column) * from.get(row, column));
            double common = dot * reciprocal * reciprocal * reciprocal / from.columns();
            for (int column = 0; column < from.columns(); column++) {
                double value = from.get(row, column);
                dscale.add(v, column, gradient.get(row, column) * value * reciprocal);
                d.put(
                        row,
                        column,
                        gradient.get(row, column) * scale.get(v, column) * reciprocal - value * common,
                        accumulate);
            }
        }
    }

    private int variant(Optional<IntTensor> variant, int row) {
        return variant.isEmpty() ? 0 : of(variant.get()).get(row);
    }

    void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        ReferenceTensor from = of(logits);
        ReferenceInts wanted = of(target);
        eachElement(out, false, (row, ignored) -> logSumExp(from, row) - from.get(row, wanted.get(row)));
    }

    void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        ReferenceTensor d = of(dlogits);
        ReferenceTensor from = of(logits);
        ReferenceInts wanted = of(target);
        ReferenceTensor gradient = of(dy);
        for (int row = 0; row < rows(dlogits); row++) {
            double logSumExp = logSumExp(from, row);
            for (int column = 0; column < from.columns(); column++) {
                double probability = StrictMath.exp(from.get(row, column) - logSumExp);
                double wantedProbability = column == wanted.get(row) ? 1 : 0;
                d.set(row, column, (probability - wantedProbability) * gradient.get(row, 0));
            }
        }
    }

    private static double largest(ReferenceTensor x, int row) {
        double largest = Double.NEGATIVE_INFINITY;
        for (int column = 0; column < x.columns(); column++) {
            largest = Math.max(largest, x.get(row, column));
        }
        return largest;
    }

    private static double logSumExp(ReferenceTensor x, int row) {
        double largest = largest(x, row);
        if (Double.isInfinite(largest)) {
            return largest;
        }
        return largest + StrictMath.log(sum(x.columns(), column -> StrictMath.exp(x.get(row, column) - largest)));
    }
}
