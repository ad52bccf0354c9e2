package io.mor.runtime.tape;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.function.Consumer;

/** Operations of one kind over a tape. */
abstract class OperationFamily {

    final Backend backend;
    final Gradients gradients;
    final Tape tape;

    OperationFamily(Tape tape) {
        this.tape = tape;
        this.backend = tape.backend;
        this.gradients = tape.gradients;
    }

    final Tensor result(Extent extent, int columns) {
        return tape.result(extent, columns);
    }

    final Tensor like(Tensor x) {
        return tape.like(x);
    }

    final Tensor full(Extent extent, int columns) {
        return tape.full(extent, columns);
    }

    final boolean tracks(Tensor x) {
        return tape.tracks(x);
    }

    final Tensor record(Tensor result, Consumer<Tensor> backward, Tensor... inputs) {
        return tape.record(result, backward, inputs);
    }
}
