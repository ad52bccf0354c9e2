package io.mor.backend.cuda;

import io.mor.api.tensor.IntTensor;
import java.util.List;

/** Tables of the cosines and sines that a rotary embedding turns rows by. */
final class RotationAngles extends KernelFamily {

    private static final int KEPT = 6;

    private final DerivedMemory<Table> tables;

    private record Table(int rows, int pairs, long frequencies) {}

    RotationAngles(CudaContext context) {
        super(context);
        this.tables = new DerivedMemory<>(context, KEPT, "angles of a rotary embedding");
    }

    /**
     * The address of cosine and sine for each row and pair, {@code [rows, pairs, 2]} in single precision.
     *
     * @param positions one for each row
     * @param frequencies address of one double for each pair
     */
    long of(IntTensor positions, int rows, int pairs, long frequencies) {
        return tables.of(
                new Table(rows, pairs, frequencies),
                List.of(positions),
                8L * rows * pairs,
                address -> kernel("rotationAngles")
                        .pointer(address)
                        .pointer(address(positions))
                        .pointer(frequencies)
                        .integer(rows)
                        .integer(pairs)
                        .overElements((long) rows * pairs));
    }
}
