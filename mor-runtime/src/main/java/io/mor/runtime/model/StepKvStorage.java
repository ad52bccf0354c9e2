package io.mor.runtime.model;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.cache.KvVisit;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Keys and values as tensors of one call over whole sequences: training (gradients flow through shared ones) and evaluation. Batches are at
 * one recursion at a time.
 */
final class StepKvStorage implements KvStorage {

    private record Slot(int stage, int recursion, int layer) {}

    private record Stored(Tensor keys, Tensor values, TokenBatch batch) {}

    private final List<Stage> stages;
    private final KvCache cache;
    private final Map<Slot, Stored> slots = new HashMap<>();

    StepKvStorage(List<Stage> stages, KvCache cache) {
        this.stages = stages;
        this.cache = cache;
    }

    @Override
    public KvViews visit(ModelCall call, int stage, TokenBatch batch) {
        return new Visit(call, stage, batch);
    }

    private final class Visit implements KvViews {

        private record RangeKey(int source, int window) {}

        private final ModelCall call;
        private final int stage;
        private final TokenBatch batch;
        private final int recursion;
        private final Map<RangeKey, AttentionRanges> ranges = new HashMap<>();

        Visit(ModelCall call, int stage, TokenBatch batch) {
            this.call = call;
            this.stage = stage;
            this.batch = batch;
            this.recursion = batch.segments().getFirst().recursion();
        }

        @Override
        public KvView layer(int layer) {
            KvVisit plan = stages.get(stage).plan(cache, recursion, layer);
            return new KvView() {
                @Override
                public boolean projects() {
                    return plan.writes();
                }

                @Override
                public Tensor attend(
                        AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values) {
                    Stored seen = plan.source() == recursion
                            ? new Stored(keys.orElseThrow(), values.orElseThrow(), batch)
                            : stored(plan.source(), layer);
                    if (plan.source() == recursion) {
                        slots.put(new Slot(stage, recursion, layer), seen);
                    } else if (plan.overlays()) {
                        IntTensor places =
                                ranges(plan.source(), seen.batch(), 1).start();
                        seen = new Stored(
                                call.ops().replaceRows(seen.keys(), places, keys.orElseThrow()),
                                call.ops().replaceRows(seen.values(), places, values.orElseThrow()),
                                seen.batch());
                    }
                    return call.ops()
                            .attention(
                                    queries,
                                    seen.keys(),
                                    seen.values(),
                                    ranges(plan.source(), seen.batch(), plan.window()),
                                    shape);
                }
            };
        }

        private Stored stored(int source, int layer) {
            Stored stored = slots.get(new Slot(stage, source, layer));
            if (stored == null) {
                throw new IllegalStateException("kv-cache: recursion " + recursion + " of layer " + layer
                        + " reads what recursion " + source + " stored, but that stored nothing");
            }
            return stored;
        }

        /** With a window of 1 a range starts at the query's own position: that finds a row's place among the keys. */
        private AttentionRanges ranges(int source, TokenBatch keys, int window) {
            return ranges.computeIfAbsent(new RangeKey(source, window), key -> {
                IntTensor start = call.region().allocateInts(batch.rows());
                IntTensor end = call.region().allocateInts(batch.rows());
                call.backend()
                        .causalRanges(
                                start,
                                end,
                                batch.sequence(),
                                batch.position(),
                                batch.extent(),
                                keys.groupOffsets(),
                                keys.position(),
                                window);
                return new AttentionRanges(start, end, Optional.empty(), longest(keys));
            });
        }

        private int longest(TokenBatch keys) {
            return keys.sequenceLengths().stream()
                    .mapToInt(Integer::intValue)
                    .max()
                    .orElse(0);
        }
    }
}
