package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.checkColumn;
import static io.mor.runtime.tape.Shapes.checkRow;
import static io.mor.runtime.tape.Shapes.checkSame;

import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;

/** Operations of element by element, and of rows with a factor or a row. */
final class ElementwiseOps extends OperationFamily {

    ElementwiseOps(Tape tape) {
        super(tape);
    }

    Tensor add(Tensor a, Tensor b) {
        checkSame("add", a, b);
        Tensor out = like(a);
        backend.add(out, a, b, 1);
        return record(
                out,
                dy -> {
                    if (tracks(b)) {
                        gradients.add(b, dy);
                    }
                    if (tracks(a)) {
                        gradients.handOver(a, dy);
                    }
                },
                a,
                b);
    }

    Tensor subtract(Tensor a, Tensor b) {
        checkSame("subtract", a, b);
        Tensor out = like(a);
        backend.add(out, a, b, -1);
        return record(
                out,
                dy -> {
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.affine(db, dy, -1, 0, add));
                    }
                    if (tracks(a)) {
                        gradients.handOver(a, dy);
                    }
                },
                a,
                b);
    }

    Tensor multiply(Tensor a, Tensor b) {
        checkSame("multiply", a, b);
        Tensor out = like(a);
        backend.multiply(out, a, b, false);
        return record(
                out,
                dy -> {
                    if (tracks(a)) {
                        gradients.contribute(a, (da, add) -> backend.multiply(da, dy, b, add));
                    }
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.multiply(db, dy, a, add));
                    }
                },
                a,
                b);
    }

    Tensor affine(Tensor x, double scale, double shift) {
        Tensor out = like(x);
        backend.affine(out, x, scale, shift, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.affine(dx, dy, scale, 0, add)), x);
    }

    Tensor apply(Unary function, Tensor x) {
        Tensor out = like(x);
        backend.unary(out, function, x);
        return record(
                out,
                dy -> gradients.contribute(x, (dx, add) -> backend.unaryBackward(dx, function, x, out, dy, add)),
                x);
    }

    Tensor swiGlu(Tensor gate, Tensor up) {
        checkSame("swiGlu", gate, up);
        if (tracks(gate) != tracks(up)) {
            return multiply(apply(Unary.SILU, gate), up);
        }
        Tensor out = like(gate);
        backend.swiGlu(out, gate, up);
        return record(
                out,
                dy -> {
                    Tensor dgate = like(gate);
                    Tensor dup = like(up);
                    backend.swiGluBackward(dgate, dup, gate, up, dy);
                    gradients.handOver(gate, dgate);
                    gradients.handOver(up, dup);
                },
                gate,
                up);
    }

    Tensor scaleRows(Tensor x, Tensor factors) {
        checkColumn("scaleRows", x, factors);
        Tensor out = like(x);
        backend.scaleRows(out, x, factors, false);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, dy, factors, add));
                    }
                    if (tracks(factors)) {
                        gradients.contribute(factors, (df, add) -> backend.rowDot(df, dy, x, add));
                    }
                },
                x,
                factors);
    }

    Tensor addRow(Tensor x, Tensor row) {
        checkRow("addRow", x, row);
        Tensor out = like(x);
        backend.addRow(out, x, row);
        return record(
                out,
                dy -> {
                    if (tracks(row)) {
                        gradients.contribute(row, (dr, add) -> backend.columnSum(dr, dy, 1, add));
                    }
                    if (tracks(x)) {
                        gradients.handOver(x, dy);
                    }
                },
                x,
                row);
    }

    Tensor multiplyRow(Tensor x, Tensor row) {
        checkRow("multiplyRow", x, row);
        Tensor out = like(x);
        backend.multiplyRow(out, x, row, false);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.multiplyRow(dx, dy, row, add));
                    }
                    if (tracks(row)) {
                        gradients.contribute(row, (dr, add) -> backend.columnDot(dr, dy, x, 1, add));
                    }
                },
                x,
                row);
    }
}
