package io.mor.backend.cuda;

import java.util.HashMap;
import java.util.Map;

/**
 * How the copy engine of compute capability 9.0 sees matrices in bfloat16; made once for each matrix and way to cut it. Thread safety: one thread.
 */
final class TensorMaps {

    private static final int MOST = 4096; // kept
    private static final int BOX_COLUMNS = 64;

    /**
     * A matrix that is brought in boxes of 64 columns.
     *
     * @param address of its first element, a multiple of 16
     * @param columns a multiple of 8
     * @param pitch elements from one row to the next, a multiple of 8
     * @param boxRows rows of a box
     * @param arranged whether row {@code 8 j + 2 q + e} of 32 in a box is row {@code 8 q + 2 j + e} of the matrix, as products_hopper.cu wants it; rows
     *     is a multiple of 32 then
     */
    record Boxes(long address, int rows, int columns, int pitch, int boxRows, boolean arranged) {

        Boxes(long address, int rows, int columns, int boxRows, boolean arranged) {
            this(address, rows, columns, columns, boxRows, arranged);
        }

        Boxes(long address, int rows, int columns, int boxRows) {
            this(address, rows, columns, boxRows, false);
        }
    }

    private final DriverCalls driver;
    private final Map<Boxes, long[]> maps = new HashMap<>();

    TensorMaps(DriverCalls driver) {
        this.driver = driver;
    }

    /** The words of a map. */
    long[] of(Boxes boxes) {
        long[] known = maps.get(boxes);
        if (known == null) {
            if (maps.size() == MOST) {
                maps.clear();
            }
            known = make(boxes);
            maps.put(boxes, known);
        }
        return known;
    }

    private long[] make(Boxes boxes) {
        long row = 2L * boxes.pitch;
        return boxes.arranged
                ? driver.tensorMap(
                        boxes.address,
                        new long[] {boxes.columns, 2, 4, 4, boxes.rows / 32},
                        new long[] {row, 8 * row, 2 * row, 32 * row},
                        new int[] {BOX_COLUMNS, 2, 4, 4, boxes.boxRows / 32})
                : driver.tensorMap(boxes.address, new long[] {boxes.columns, boxes.rows}, new long[] {row}, new int[] {
                    BOX_COLUMNS, boxes.boxRows
                });
    }
}
