package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Which token each row of a call is. Rows are packed, without padding, sorted by recursion, then by sequence, then by position; in training
 * and prefill all rows are at one recursion.
 *
 * @param extent the rows
 * @param sequence sequence of each row, {@code [rows]}, from 0 in training, a slot number in generation
 * @param position original position in its sequence, {@code [rows]}, from 0
 * @param recursion which recursion the row is about to enter, {@code [rows]}, from 1
 * @param entryRow the row's place among the rows with which the call began, {@code [rows]}
 * @param groupOffsets first row of each group and the end, {@code [groups + 1]}; a group is the rows of one sequence at one recursion
 * @param groups number of groups; a group may be empty
 * @param segments the recursions of the batch, ascending. With more than one the extents are exact. Empty after a
 *     selection from several, when the host does not know them; the rows stay sorted
 * @param sequenceLengths tokens of the sequence that each group belongs to, in the whole call: what a capacity is a fraction of
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record TokenBatch(
        Extent extent,
        IntTensor sequence,
        IntTensor position,
        IntTensor recursion,
        IntTensor entryRow,
        IntTensor groupOffsets,
        int groups,
        List<RecursionSegment> segments,
        List<Integer> sequenceLengths) {

    /** Copies the lists and checks for null. */
    public TokenBatch {
        Objects.requireNonNull(extent, "extent is null");
        segments = List.copyOf(segments);
        sequenceLengths = List.copyOf(sequenceLengths);
    }

    /** The bound of the rows. */
    public int rows() {
        return extent.bound();
    }

    /** Whether all rows are at one recursion. */
    public boolean isUniform() {
        return segments.size() == 1;
    }

    /**
     * The rows of one segment as a batch at one recursion, for a router that decides recursion by recursion. The groups stay, with their
     * sequence lengths; those of other segments are empty.
     *
     * @param segment one of {@link #segments}
     */
    public TokenBatch segment(Ops ops, RecursionSegment segment) {
        if (isUniform()) {
            return this;
        }
        int first = segment.firstRow();
        Extent part = segment.extent();
        IntTensor index = ops.ints(IntStream.range(first, first + part.bound()).toArray());
        int[] clamped = IntStream.rangeClosed(0, rows())
                .map(row -> Math.clamp(row - first, 0, part.bound()))
                .toArray();
        return new TokenBatch(
                part,
                ops.gatherInts(sequence, index, part),
                ops.gatherInts(position, index, part),
                ops.gatherInts(recursion, index, part),
                ops.gatherInts(entryRow, index, part),
                ops.gatherInts(ops.ints(clamped), groupOffsets, Extent.exact(groups + 1)),
                groups,
                List.of(new RecursionSegment(segment.recursion(), 0, part)),
                sequenceLengths);
    }
}
