package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.check;
import static io.mor.runtime.tape.Shapes.checkIndex;
import static io.mor.runtime.tape.Shapes.shape;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Cross-entropy, over a vocabulary a chunk of rows at a time. */
final class LossOps extends OperationFamily {

    LossOps(Tape tape) {
        super(tape);
    }

    Tensor crossEntropy(Tensor logits, IntTensor target) {
        checkIndex("crossEntropy", target, logits.rows());
        Tensor out = result(logits.extent(), 1);
        backend.crossEntropy(out, logits, target);
        return record(
                out,
                dy -> {
                    Tensor dlogits = like(logits);
                    backend.crossEntropyBackward(dlogits, logits, target, dy);
                    gradients.handOver(logits, dlogits);
                },
                logits);
    }

    /** Per-row losses a chunk of rows at a time; for gradients the logits are computed again. */
    Tensor headCrossEntropy(Tensor rows, Tensor head, IntTensor target) {
        check(rows.columns() == head.columns(), "headCrossEntropy", rows, head);
        Tensor losses = full(rows.extent(), 1);
        forEachChunk(
                rows,
                head,
                target,
                (first, chunk, logits, targets) ->
                        backend.crossEntropy(backend.view(losses, first, chunk.extent(), 1), logits, targets));
        return record(
                losses,
                dy -> {
                    Optional<RowGradient> drows = rowGradient(rows);
                    forEachChunk(rows, head, target, (first, chunk, logits, targets) -> {
                        backend.crossEntropyBackward(
                                logits, logits, targets, backend.view(dy, first, chunk.extent(), 1));
                        headBackward(drows, head, first, chunk, logits);
                    });
                },
                rows,
                head);
    }

    /**
     * As {@link #headCrossEntropy}, for the mean over all rows, whose gradient is taken on the way forward, chunk by chunk, as if {@code scale} times it
     * were the only way in which it enters the total loss: so logits are computed once and never held whole.
     *
     * @param rows exact extent
     */
    Tensor headCrossEntropyAtOnce(Tensor rows, Tensor head, IntTensor target, double scale) {
        check(rows.columns() == head.columns() && rows.extent().isExact(), "meanHeadCrossEntropy", rows, head);
        Tensor losses = full(rows.extent(), 1);
        boolean wanted = tracks(rows) || tracks(head);
        Tensor dy = result(Extent.exact(Math.min(rows.rows(), rowsAtATime(head))), 1);
        backend.fill(dy, scale / Math.max(1, rows.rows()));
        Optional<RowGradient> drows = rowGradient(rows);
        forEachChunk(rows, head, target, (first, chunk, logits, targets) -> {
            Tensor loss = backend.view(losses, first, chunk.extent(), 1);
            if (wanted) {
                backend.crossEntropyGradient(loss, logits, targets, backend.view(dy, 0, chunk.extent(), 1));
                headBackward(drows, head, first, chunk, logits);
            } else {
                backend.crossEntropy(loss, logits, targets);
            }
        });
        return losses;
    }

    @FunctionalInterface
    private interface HeadChunk {
        void accept(int first, Tensor rows, Tensor logits, IntTensor targets);
    }

    private int rowsAtATime(Tensor head) {
        return Math.clamp(backend.logitsAtATime() / head.rows(), 16, Integer.MAX_VALUE);
    }

    private void forEachChunk(Tensor rows, Tensor head, IntTensor target, HeadChunk body) {
        if (!rows.extent().isExact()) {
            throw new IllegalArgumentException(
                    "headCrossEntropy: " + shape(rows) + " has a count that the host does not know");
        }
        int step = Math.min(rows.rows(), rowsAtATime(head));
        if (step == 0) {
            return;
        }
        Tensor memory = result(Extent.exact(step), head.rows());
        for (int first = 0; first < rows.rows(); first += step) {
            Extent extent = Extent.exact(Math.min(step, rows.rows() - first));
            Tensor chunk = backend.view(rows, first, extent, rows.columns());
            Tensor logits = backend.view(memory, 0, extent, head.rows());
            backend.matmul(logits, chunk, false, head, true, false);
            body.accept(first, chunk, logits, backend.view(target, first, extent.bound()));
        }
    }

    /** The gradient of all rows, of which each chunk sets its own or adds to them. */
    private record RowGradient(Tensor tensor, boolean accumulate) {}

    private Optional<RowGradient> rowGradient(Tensor rows) {
        if (!tracks(rows) || rows.rows() == 0) {
            return Optional.empty();
        }
        List<RowGradient> taken = new ArrayList<>();
        gradients.contribute(rows, (tensor, accumulate) -> taken.add(new RowGradient(tensor, accumulate)));
        return Optional.of(taken.getFirst());
    }

    private void headBackward(Optional<RowGradient> drows, Tensor head, int first, Tensor chunk, Tensor dlogits) {
        drows.ifPresent(gradient -> backend.matmul(
                backend.view(gradient.tensor(), first, chunk.extent(), chunk.columns()),
                dlogits,
                false,
                head,
                false,
                gradient.accumulate()));
        if (tracks(head)) {
            gradients.contribute(head, (dw, add) -> backend.matmul(dw, dlogits, true, chunk, false, add));
        }
    }
}
