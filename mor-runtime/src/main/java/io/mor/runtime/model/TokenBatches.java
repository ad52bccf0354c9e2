package io.mor.runtime.model;

import io.mor.api.backend.Backend;
import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.runtime.memory.Region;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Makes the batches of a call. */
public final class TokenBatches {

    private TokenBatches() {}

    /** Whole sequences from position 0, one after the other, at recursion 1. */
    public static TokenBatch ofSequences(Region region, List<Integer> lengths) {
        List<TokenRow> rows = new ArrayList<>();
        for (int sequence = 0; sequence < lengths.size(); sequence++) {
            for (int position = 0; position < lengths.get(sequence); position++) {
                rows.add(new TokenRow(sequence, position, 1));
            }
        }
        if (lengths.contains(0)) {
            return ofSequencesWithEmpty(region, rows, lengths);
        }
        return of(region, rows, lengths);
    }

    /**
     * Any rows, sorted by recursion, then sequence, then position.
     *
     * @param lengths tokens of the sequence that each group of rows (same recursion and sequence) belongs to
     */
    public static TokenBatch of(Region region, List<TokenRow> rows, List<Integer> lengths) {
        int n = rows.size();
        List<Integer> offsets = new ArrayList<>();
        List<RecursionSegment> segments = new ArrayList<>();
        int segmentStart = 0;
        for (int i = 0; i < n; i++) {
            TokenRow row = rows.get(i);
            boolean newRecursion = i == 0 || rows.get(i - 1).recursion() != row.recursion();
            if (newRecursion && i > 0) {
                segments.add(new RecursionSegment(
                        rows.get(i - 1).recursion(), segmentStart, Extent.exact(i - segmentStart)));
                segmentStart = i;
            }
            if (newRecursion || rows.get(i - 1).sequence() != row.sequence()) {
                offsets.add(i);
            }
        }
        segments.add(new RecursionSegment(
                n == 0 ? 1 : rows.getLast().recursion(), segmentStart, Extent.exact(n - segmentStart)));
        int groups = offsets.size();
        offsets.add(n);
        if (lengths.size() != groups) {
            throw new IllegalArgumentException(lengths.size() + " sequence lengths for " + groups + " groups of rows");
        }
        return build(region, rows, offsets, segments, lengths);
    }

    private static TokenBatch ofSequencesWithEmpty(Region region, List<TokenRow> rows, List<Integer> lengths) {
        List<Integer> offsets = new ArrayList<>(List.of(0));
        for (int length : lengths) {
            offsets.add(offsets.getLast() + length);
        }
        return build(region, rows, offsets, List.of(new RecursionSegment(1, 0, Extent.exact(rows.size()))), lengths);
    }

    private static TokenBatch build(
            Region region,
            List<TokenRow> rows,
            List<Integer> offsets,
            List<RecursionSegment> segments,
            List<Integer> lengths) {
        int n = rows.size();
        return new TokenBatch(
                Extent.exact(n),
                region.ints(rows.stream().mapToInt(TokenRow::sequence).toArray()),
                region.ints(rows.stream().mapToInt(TokenRow::position).toArray()),
                region.ints(rows.stream().mapToInt(TokenRow::recursion).toArray()),
                region.ints(IntStream.range(0, n).toArray()),
                region.ints(offsets.stream().mapToInt(Integer::intValue).toArray()),
                offsets.size() - 1,
                segments,
                lengths);
    }

    /** The selected rows of a batch, as a batch. */
    public static TokenBatch select(Region region, TokenBatch batch, Ops.Rows rows) {
        Backend backend = region.backend();
        Extent extent = rows.extent();
        IntTensor offsets = region.allocateInts(batch.groups() + 1);
        backend.compactOffsets(offsets, rows.index(), extent, batch.groupOffsets());
        List<RecursionSegment> segments = batch.isUniform()
                ? List.of(new RecursionSegment(batch.segments().getFirst().recursion(), 0, extent))
                : List.of();
        return new TokenBatch(
                extent,
                gather(region, batch.sequence(), rows),
                gather(region, batch.position(), rows),
                gather(region, batch.recursion(), rows),
                gather(region, batch.entryRow(), rows),
                offsets,
                batch.groups(),
                segments,
                batch.sequenceLengths());
    }

    private static IntTensor gather(Region region, IntTensor table, Ops.Rows rows) {
        IntTensor out = region.allocateInts(rows.extent().bound());
        region.backend().gatherInts(out, table, rows.index(), rows.extent());
        return out;
    }

    /** A uniform batch, about to enter another recursion. */
    public static TokenBatch at(Region region, TokenBatch batch, int recursion) {
        if (batch.isUniform() && batch.segments().getFirst().recursion() == recursion) {
            return batch;
        }
        IntTensor recursions = region.allocateInts(batch.rows());
        region.backend().fill(recursions, recursion);
        return new TokenBatch(
                batch.extent(),
                batch.sequence(),
                batch.position(),
                recursions,
                batch.entryRow(),
                batch.groupOffsets(),
                batch.groups(),
                List.of(new RecursionSegment(recursion, 0, batch.extent())),
                batch.sequenceLengths());
    }
}
