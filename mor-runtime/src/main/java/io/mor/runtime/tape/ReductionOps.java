package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.checkSame;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;

/** Sums over rows and columns. */
final class ReductionOps extends OperationFamily {

    ReductionOps(Tape tape) {
        super(tape);
    }

    Tensor rowSum(Tensor x) {
        Tensor out = result(x.extent(), 1);
        backend.rowSum(out, x, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastColumn(dx, dy, add)), x);
    }

    Tensor rowLogSumExp(Tensor x) {
        Tensor out = result(x.extent(), 1);
        backend.rowLogSumExp(out, x);
        return record(
                out,
                dy -> {
                    Tensor probabilities = like(x);
                    backend.softmax(probabilities, x);
                    gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, probabilities, dy, add));
                },
                x);
    }

    Tensor rowDot(Tensor a, Tensor b) {
        checkSame("rowDot", a, b);
        Tensor out = result(a.extent(), 1);
        backend.rowDot(out, a, b, false);
        return record(
                out,
                dy -> {
                    if (tracks(a)) {
                        gradients.contribute(a, (da, add) -> backend.scaleRows(da, b, dy, add));
                    }
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.scaleRows(db, a, dy, add));
                    }
                },
                a,
                b);
    }

    Tensor softmax(Tensor x) {
        Tensor out = like(x);
        backend.softmax(out, x);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.softmaxBackward(dx, out, dy, add)), x);
    }

    Tensor columnSum(Tensor x) {
        Tensor out = full(Extent.exact(1), x.columns());
        backend.columnSum(out, x, 1, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, dy, 1, add)), x);
    }

    Tensor columnMean(Tensor x) {
        Tensor out = full(Extent.exact(1), x.columns());
        if (x.extent().isExact()) {
            double scale = 1.0 / Math.max(1, x.rows());
            backend.columnSum(out, x, scale, false);
            return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, dy, scale, add)), x);
        }
        Tensor reciprocal = result(Extent.exact(1), 1);
        backend.reciprocalCount(reciprocal, x.extent());
        Tensor sum = full(Extent.exact(1), x.columns());
        backend.columnSum(sum, x, 1, false);
        backend.scaleRows(out, sum, reciprocal, false);
        return record(
                out,
                dy -> {
                    Tensor scaled = full(Extent.exact(1), x.columns());
                    backend.scaleRows(scaled, dy, reciprocal, false);
                    gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, scaled, 1, add));
                },
                x);
    }
}
