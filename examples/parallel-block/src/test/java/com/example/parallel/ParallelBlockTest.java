package com.example.parallel;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.model.ModelShape;
import io.mor.testkit.RecursionBlockContract;

/** Everything that a recursion block promises; the contract's tests are inherited. */
class ParallelBlockTest extends RecursionBlockContract {

    @Override
    protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
        return new ParallelBlock(shape, placement);
    }

    @Override
    protected boolean hasNormsOfItsOwnPerRecursion() {
        return false;
    }

    @Override
    protected boolean dropsOut() {
        return false;
    }
}
