package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.check;
import static io.mor.runtime.tape.Shapes.checkColumn;
import static io.mor.runtime.tape.Shapes.checkIndex;
import static io.mor.runtime.tape.Shapes.shape;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/** Operations that choose and place rows. */
final class RowOps extends OperationFamily {

    RowOps(Tape tape) {
        super(tape);
    }

    Tensor gatherRows(Tensor x, IntTensor index, Extent extent) {
        checkIndex("gatherRows", index, extent.bound());
        Tensor out = result(extent, x.columns());
        backend.gatherRows(out, x, index, false);
        return record(out, dy -> backend.scatterAddRows(gradients.added(x), index, dy), x);
    }

    Tensor gatherRows(Tensor x, Ops.Rows rows) {
        checkIndex("gatherRows", rows.index(), rows.extent().bound());
        Tensor out = result(rows.extent(), x.columns());
        backend.gatherRows(out, x, rows.index(), false);
        return record(
                out,
                dy -> {
                    Tensor dx = gradients.added(x);
                    backend.addToRows(dx, dx, rows.index(), dy, Optional.empty());
                },
                x);
    }

    Tensor replaceRows(Tensor base, IntTensor index, Tensor x) {
        check(base.columns() == x.columns(), "replaceRows", base, x);
        checkIndex("replaceRows", index, x.rows());
        Tensor out = like(base);
        backend.copy(out, base);
        backend.scatterRows(out, index, x);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.gatherRows(dx, dy, index, add));
                    }
                    if (tracks(base)) {
                        Tensor zeros = like(x);
                        backend.fill(zeros, 0);
                        backend.scatterRows(dy, index, zeros);
                        gradients.handOver(base, dy);
                    }
                },
                base,
                x);
    }

    Tensor addToRows(Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        check(base.columns() == x.columns(), "addToRows", base, x);
        checkIndex("addToRows", index, x.rows());
        gate.ifPresent(g -> checkColumn("addToRows", x, g));
        Tensor out = like(base);
        backend.addToRows(out, base, index, x, gate);
        return record(
                out,
                dy -> {
                    if (tracks(x) || gate.isPresent() && tracks(gate.get())) {
                        Tensor dyRows = like(x);
                        backend.gatherRows(dyRows, dy, index, false);
                        if (gate.isPresent()) {
                            if (tracks(gate.get())) {
                                gradients.contribute(gate.get(), (dg, add) -> backend.rowDot(dg, dyRows, x, add));
                            }
                            if (tracks(x)) {
                                gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, dyRows, gate.get(), add));
                            }
                        } else {
                            gradients.handOver(x, dyRows);
                        }
                    }
                    if (tracks(base)) {
                        gradients.handOver(base, dy);
                    }
                },
                gate.isPresent() ? new Tensor[] {base, x, gate.get()} : new Tensor[] {base, x});
    }

    Tensor pickColumn(Tensor x, IntTensor column) {
        checkIndex("pickColumn", column, x.rows());
        Tensor out = result(x.extent(), 1);
        backend.pickColumn(out, x, column);
        return record(out, dy -> backend.pickColumnBackward(gradients.added(x), column, dy), x);
    }

    Tensor sliceRows(Tensor x, int first, Extent extent) {
        if (first < 0 || first + extent.bound() > x.rows()) {
            throw new IllegalArgumentException(
                    "sliceRows: rows " + first + " to " + (first + extent.bound()) + " are not within " + shape(x));
        }
        Tensor out = backend.view(x, first, extent, x.columns());
        return record(
                out,
                dy -> {
                    Tensor part = backend.view(gradients.added(x), first, extent, x.columns());
                    backend.add(part, part, dy, 1);
                },
                x);
    }

    Tensor concatRows(List<Tensor> parts) {
        if (parts.size() == 1) {
            return parts.getFirst();
        }
        int rows = 0;
        for (Tensor part : parts) {
            if (!part.extent().isExact()) {
                throw new IllegalArgumentException(
                        "concatRows: " + shape(part) + " has a count that the host does not know");
            }
            check(part.columns() == parts.getFirst().columns(), "concatRows", parts.getFirst(), part);
            rows += part.rows();
        }
        int columns = parts.getFirst().columns();
        Tensor out = result(Extent.exact(rows), columns);
        int at = 0;
        for (Tensor part : parts) {
            backend.copy(backend.view(out, at, part.extent(), columns), part);
            at += part.rows();
        }
        return record(
                out,
                dy -> {
                    int first = 0;
                    for (Tensor part : parts) {
                        if (tracks(part)) {
                            gradients.add(part, backend.view(dy, first, part.extent(), columns));
                        }
                        first += part.rows();
                    }
                },
                parts.toArray(Tensor[]::new));
    }
}
