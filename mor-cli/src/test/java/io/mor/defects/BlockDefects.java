package io.mor.defects;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.block.llama.LlamaBlock;
import io.mor.testkit.RecursionBlockContract;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** The Llama block with one defect each. */
final class BlockDefects {

    private BlockDefects() {}

    private record Changed(RecursionBlock block, Change change) implements RecursionBlock {
        @Override
        public List<Parameter> parameters() {
            return block.parameters();
        }

        @Override
        public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
            return change.apply(block, context, batch, rows, caches);
        }

        @Override
        public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
            return block.multiplyAddsPerRow(projectsKeysAndValues);
        }
    }

    @FunctionalInterface
    private interface Change {
        Tensor apply(RecursionBlock block, CallContext context, TokenBatch batch, Tensor rows, KvViews caches);
    }

    private static RecursionBlock changed(ModelShape shape, BlockPlacement placement, Change change) {
        return new Changed(new LlamaBlock(shape, placement), change);
    }

    static final class Right extends RecursionBlockContract {
        @Override
        protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
            return changed(shape, placement, RecursionBlock::apply);
        }
    }

    static final class MixesAllRows extends RecursionBlockContract {
        @Override
        protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
            return changed(
                    shape,
                    placement,
                    (block, context, batch, rows, caches) -> context.ops()
                            .addRow(
                                    block.apply(context, batch, rows, caches),
                                    context.ops().columnMean(rows)));
        }
    }

    static final class TakesThePlaceInTheBatchForThePosition extends RecursionBlockContract {
        @Override
        protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
            return changed(shape, placement, (block, context, batch, rows, caches) -> {
                IntTensor places =
                        context.ops().ints(IntStream.range(0, batch.rows()).toArray());
                TokenBatch wrong = new TokenBatch(
                        batch.extent(),
                        batch.sequence(),
                        places,
                        batch.recursion(),
                        batch.entryRow(),
                        batch.groupOffsets(),
                        batch.groups(),
                        batch.segments(),
                        batch.sequenceLengths());
                return block.apply(context, wrong, rows, caches);
            });
        }
    }

    static final class ProjectsWhereNothingIsStored extends RecursionBlockContract {
        @Override
        protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
            return changed(
                    shape,
                    placement,
                    (block, context, batch, rows, caches) -> block.apply(context, batch, rows, layer -> new KvView() {
                        private final KvView view = caches.layer(layer);

                        @Override
                        public boolean projects() {
                            return true;
                        }

                        @Override
                        public Tensor attend(
                                AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values) {
                            return view.attend(shape, queries, keys, values);
                        }
                    }));
        }
    }

    static final class CountsTooFewMultiplyAdds extends RecursionBlockContract {
        @Override
        protected RecursionBlock createBlock(ModelShape shape, BlockPlacement placement) {
            RecursionBlock block = new LlamaBlock(shape, placement);
            return new RecursionBlock() {
                @Override
                public List<Parameter> parameters() {
                    return block.parameters();
                }

                @Override
                public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
                    return block.apply(context, batch, rows, caches);
                }

                @Override
                public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
                    return block.multiplyAddsPerRow(false);
                }
            };
        }
    }
}
