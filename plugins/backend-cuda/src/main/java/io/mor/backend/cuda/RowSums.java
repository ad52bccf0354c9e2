package io.mor.backend.cuda;

import io.mor.api.tensor.Tensor;
import java.util.Optional;

/**
 * Sums over the rows of a matrix that the kernel which made it brought with it, in parts, for whoever reads that matrix next and would have to read it once
 * more to find them. They are those of the last matrix alone.
 */
final class RowSums {

    private final CudaContext context;
    private final String what;
    private Optional<DeviceMemory.Block> memory = Optional.empty();
    private Optional<Held> held = Optional.empty();

    /**
     * Sums of a matrix's rows.
     *
     * @param parts of a row's sum
     * @param address of them, float [parts, rows]
     */
    record Sums(int parts, long address) {}

    /**
     * Sums, and the matrix.
     *
     * @param of the first byte of the matrix
     * @param lifetime its memory
     * @param version of it when the matrix was made
     */
    private record Held(long of, Lifetime lifetime, long version, int rows, int columns, Sums sums) {

        private static Held of(CudaTensor matrix, Sums sums) {
            return new Held(
                    matrix.address, matrix.lifetime, matrix.lifetime.version(), matrix.rows(), matrix.columns(), sums);
        }
    }

    /**
     * @param what is summed, for messages
     */
    RowSums(CudaContext context, String what) {
        this.context = context;
        this.what = what;
    }

    /** Memory for so many parts of each row's sum; the sums before are lost. */
    Sums take(int parts, int rows) {
        held = Optional.empty();
        long bytes = 4L * parts * rows;
        if (memory.isEmpty() || memory.get().bytes() < bytes) {
            memory.ifPresent(context.memory::release);
            memory = Optional.of(context.memory.allocate(bytes, what));
        }
        return new Sums(parts, memory.get().address());
    }

    /** What was taken last now has the sums of this matrix, which is written already. */
    void hold(Tensor matrix, Sums sums) {
        held = Optional.of(Held.of(context.of(matrix), sums));
    }

    /** The sums of a matrix, if they are there and nothing has been written to its memory since. */
    Optional<Sums> of(Tensor matrix) {
        CudaTensor wanted = context.of(matrix);
        return held.filter(each -> each.equals(Held.of(wanted, each.sums))).map(Held::sums);
    }
}
