package io.mor.router.expertchoice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.TokenBatch;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.tape.TapeOps;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A decoding batch cut into its recursions, as expert choice asks its selector. */
class BatchSegmentTest {

    @Test
    void aSegmentHoldsItsRowsAndEmptyGroupsForTheOthers() {
        ReferenceBackend backend = new ReferenceBackend();
        try (MemoryPool pool = new MemoryPool(backend);
                Region region = pool.region()) {
            TapeOps ops = new TapeOps(region, false, Map.of());
            List<TokenRow> rows = List.of(
                    new TokenRow(4, 7, 1),
                    new TokenRow(4, 8, 1),
                    new TokenRow(6, 2, 1),
                    new TokenRow(1, 9, 2),
                    new TokenRow(6, 1, 2),
                    new TokenRow(0, 3, 3));
            TokenBatch batch = TokenBatches.of(region, rows, List.of(10, 5, 12, 5, 20));
            int first = 0;
            int[][] offsets = {{0, 2, 3, 3, 3, 3}, {0, 0, 0, 1, 2, 2}, {0, 0, 0, 0, 0, 1}};
            for (RecursionSegment segment : batch.segments()) {
                TokenBatch part = batch.segment(ops, segment);
                int at = first;
                int[] index = rows.stream()
                        .filter(row -> row.recursion() == segment.recursion())
                        .mapToInt(rows::indexOf)
                        .toArray();
                assertEquals(index.length, part.rows());
                assertEquals(List.of(new RecursionSegment(segment.recursion(), 0, part.extent())), part.segments());
                assertArrayEquals(index, backend.readInts(part.entryRow()));
                for (int i = 0; i < index.length; i++) {
                    TokenRow row = rows.get(at + i);
                    assertEquals(
                            row,
                            new TokenRow(
                                    backend.readInts(part.sequence())[i],
                                    backend.readInts(part.position())[i],
                                    backend.readInts(part.recursion())[i]));
                }
                assertEquals(batch.groups(), part.groups());
                assertEquals(batch.sequenceLengths(), part.sequenceLengths());
                assertArrayEquals(offsets[segment.recursion() - 1], backend.readInts(part.groupOffsets()));
                first += index.length;
            }
            TokenBatch uniform = TokenBatches.ofSequences(region, List.of(2, 3));
            assertSame(uniform, uniform.segment(ops, uniform.segments().getFirst()));
        } finally {
            backend.close();
        }
    }
}
