package io.mor.router.expertchoice;

import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;

/**
 * A candidate goes on with probability {@code capacity / previous capacity}, whatever its scores (spec 2.7); recursion 1 takes all. The choice
 * depends on the run's seed, the token's position and the recursion alone, so a prompt taken at once and token by token gives the same.
 * Immutable.
 */
public final class RandomSelector implements Selector {

    @Override
    public Tensor select(CallContext context, SelectionRequest request) {
        TokenBatch batch = request.batch();
        if (request.recursion() == 1) {
            return context.ops().constant(batch.extent(), 1, 1);
        }
        RandomKey ofMicroBatch = context.random("selector.random");
        RandomKey ofRun = new RandomKey(ofMicroBatch.seed(), ofMicroBatch.stream(), 0);
        Tensor numbers = context.ops().uniformRows(ofRun, batch.position(), batch.recursion(), batch.extent());
        return context.ops().compare(numbers, Comparison.LESS, request.capacity() / request.previousCapacity());
    }
}
