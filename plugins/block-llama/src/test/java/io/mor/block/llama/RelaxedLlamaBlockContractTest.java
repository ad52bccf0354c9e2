package io.mor.block.llama;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.model.ModelShape;
import io.mor.testkit.RecursionBlockContract;
import java.util.List;

/** The promises of a block hold with adapters and encodings of each recursion. */
class RelaxedLlamaBlockContractTest extends RecursionBlockContract {

    @Override
    protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
        RelaxationConfig relaxation = new RelaxationConfig(
                Adapter.LORA, 3, 6, 0, List.of(Projection.values()), AdapterStart.ZERO, 0, true, false);
        return new LlamaBlock(new LlamaConfig(relaxation), shape, placement);
    }

    @Override
    protected boolean sameAtEveryRecursion() {
        return false;
    }
}
