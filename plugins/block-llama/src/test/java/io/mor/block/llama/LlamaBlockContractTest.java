package io.mor.block.llama;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.model.ModelShape;
import io.mor.testkit.RecursionBlockContract;

class LlamaBlockContractTest extends RecursionBlockContract {

    @Override
    protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
        return new LlamaBlock(shape, placement);
    }
}
