package io.mor.block.llama;

import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/** The recursions of the rows of one pass, and what depends on them. One call, one thread. */
final class Recursions {

    private final CallContext context;
    private final TokenBatch batch;
    private final int visits;
    private final Map<Integer, Tensor> masks = new LinkedHashMap<>();

    Recursions(CallContext context, TokenBatch batch, int visits) {
        this.context = context;
        this.batch = batch;
        this.visits = visits;
    }

    Ops ops() {
        return context.ops();
    }

    CallContext context() {
        return context;
    }

    TokenBatch batch() {
        return batch;
    }

    /** The recursions that rows may be at. Blocks that are visited once count their only visit as recursion 1. */
    private List<Integer> present() {
        if (visits == 1) {
            return List.of(1);
        }
        return batch.segments().isEmpty()
                ? IntStream.rangeClosed(1, visits).boxed().toList()
                : batch.segments().stream().map(RecursionSegment::recursion).toList();
    }

    /**
     * For every row what its recursion gives. In a batch of mixed recursions each is computed for all rows, so that a row's value does not depend on
     * the other rows.
     *
     * @param ofRecursion values for all rows as if they were at that recursion
     */
    Tensor choose(IntFunction<Tensor> ofRecursion) {
        List<Integer> recursions = present();
        if (recursions.size() == 1) {
            return ofRecursion.apply(recursions.getFirst());
        }
        Tensor total = null;
        for (int recursion : recursions) {
            Tensor there = ops().scaleRows(ofRecursion.apply(recursion), mask(recursion));
            total = total == null ? there : ops().add(total, there);
        }
        return total;
    }

    /** 1 for the rows at a recursion, else 0: {@code [rows, 1]}. */
    private Tensor mask(int recursion) {
        return masks.computeIfAbsent(
                recursion,
                key -> ops().compare(ops().toColumn(batch.recursion(), batch.extent()), Comparison.EQUAL, key));
    }

    /** For every row a number that its recursion gives: {@code [rows]}. */
    IntTensor map(IntUnaryOperator ofRecursion) {
        int[] table = IntStream.rangeClosed(0, visits)
                .map(recursion -> ofRecursion.applyAsInt(Math.max(1, recursion)))
                .toArray();
        return ops().gatherInts(ops().ints(table), batch.recursion(), batch.extent());
    }

    /**
     * {@code x} times the vector of its recursion.
     *
     * @param vectors {@code [recursions from first on, columns]}; rows at recursions before that stay as they are
     */
    Tensor scaleColumns(Tensor x, Parameter vectors, int first) {
        return choose(recursion -> recursion < first
                ? x
                : ops().multiplyRow(x, ops().sliceRows(context.value(vectors), recursion - first, Extent.exact(1))));
    }
}
