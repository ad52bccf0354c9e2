package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.KvStorage;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * A layer on the selected rows of a sequence is the layer on all rows with a mask (spec 11 items 7 and 8), checked against the formulas written
 * down one by one.
 */
class SelectedAttentionTest {

    private static final int TOKENS = 11;
    private static final int WIDTH = 12;
    private static final int HEADS = 2; // and one for keys and values
    private static final int HEAD = 6;
    private static final int FFN = 18;
    private static final List<Integer> SELECTED = List.of(0, 3, 4, 8, 10);

    private static double[] random(int seed, int rows) {
        return new Random(seed).doubles((long) rows * WIDTH, -1, 1).toArray();
    }

    private static double[] pick(double[] rows, List<Integer> which) {
        double[] picked = new double[which.size() * WIDTH];
        for (int i = 0; i < which.size(); i++) {
            System.arraycopy(rows, which.get(i) * WIDTH, picked, i * WIDTH, WIDTH);
        }
        return picked;
    }

    /** The block's only layer at recursion 2 on the selected rows, after all rows went through recursion 1. */
    private static double[] compacted(TinyModel tiny, double[] first, double[] second) {
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.CAUSAL, tiny.weights, CallProgress.none(0));
            int stage = tiny.model.sharedStage();
            RecursionBlock block = tiny.model.stages().get(stage).blocks().getFirst();
            KvStorage storage = tiny.model.stepStorage();
            TokenBatch all = TokenBatches.ofSequences(region, List.of(TOKENS));
            block.apply(call, all, tensor(tiny, region, first), storage.visit(call, stage, all));
            double[] mask = new double[TOKENS];
            SELECTED.forEach(row -> mask[row] = 1);
            Tensor marks = region.allocate(TOKENS, 1);
            tiny.backend.write(marks, mask);
            Ops.Rows rows = call.ops().compact(marks, Optional.of(SELECTED.size()));
            TokenBatch selected = TokenBatches.at(region, TokenBatches.select(region, all, rows), 2);
            Tensor x = call.ops().gatherRows(tensor(tiny, region, second), rows.index(), rows.extent());
            return tiny.backend.readDoubles(block.apply(call, selected, x, storage.visit(call, stage, selected)));
        }
    }

    private static Tensor tensor(TinyModel tiny, Region region, double[] values) {
        Tensor tensor = region.allocate(Extent.exact(values.length / WIDTH), WIDTH);
        tiny.backend.write(tensor, values);
        return tensor;
    }

    private static TinyModel model(KvCache cache) {
        return TinyModel.of(Sharing.CYCLE, 3, 3, cache);
    }

    @Test
    void withCachesOfTheirOwnSelectedRowsSeeSelectedRowsAlone() {
        try (TinyModel tiny = model(new RecursionWiseCache())) {
            double[] first = random(1, TOKENS);
            double[] second = random(2, TOKENS);
            double[] all = layer(tiny, second, positions(TOKENS), second, positions(TOKENS), SELECTED);
            assertArrayEquals(pick(all, SELECTED), compacted(tiny, first, second), 1e-12);
        }
    }

    @Test
    void withSharedKeysAndValuesSelectedRowsSeeAllEarlierRowsOfRecursionOne() {
        try (TinyModel tiny = model(new SharedCache())) {
            double[] first = random(1, TOKENS);
            double[] second = random(2, TOKENS);
            double[] all = layer(tiny, second, positions(TOKENS), first, positions(TOKENS), positions(TOKENS));
            assertArrayEquals(pick(all, SELECTED), compacted(tiny, first, second), 1e-12);
        }
    }

    @Test
    void howManyInactiveTokensStandBetweenTwoActiveOnesCountsThroughTheirPositionsAlone() {
        try (TinyModel tiny = model(new RecursionWiseCache())) {
            double[] rows = random(2, TOKENS);
            double[] active = pick(rows, SELECTED);
            double[] among = compacted(tiny, random(1, TOKENS), rows);
            assertArrayEquals(among, alone(tiny, active, SELECTED), "without the others, at the same positions");
            assertArrayEquals(
                    among,
                    alone(tiny, active, SELECTED.stream().map(p -> p + 17).toList()),
                    1e-12,
                    "all of them later: distances are what counts");
            double[] closer = alone(tiny, active, List.of(0, 1, 2, 3, 4));
            assertFalse(
                    IntStream.range(WIDTH, among.length).allMatch(i -> Math.abs(among[i] - closer[i]) < 1e-6),
                    "at other distances");
        }
    }

    /** The layer on rows at given positions that are all there is. */
    private static double[] alone(TinyModel tiny, double[] rows, List<Integer> positions) {
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.CAUSAL, tiny.weights, CallProgress.none(0));
            int stage = tiny.model.sharedStage();
            TokenBatch batch = TokenBatches.of(
                    region,
                    positions.stream()
                            .map(position -> new TokenRow(0, position, 2))
                            .toList(),
                    List.of(positions.getLast() + 1));
            return tiny.backend.readDoubles(tiny.model
                    .stages()
                    .get(stage)
                    .blocks()
                    .getFirst()
                    .apply(
                            call,
                            batch,
                            tensor(tiny, region, rows),
                            tiny.model.stepStorage().visit(call, stage, batch)));
        }
    }

    private static List<Integer> positions(int count) {
        return IntStream.range(0, count).boxed().toList();
    }

    // ---- the layer, written down

    /** A whole Llama layer on {@code rows}, whose queries see those of {@code keyRows} that are visible and not later. */
    private static double[] layer(
            TinyModel tiny,
            double[] rows,
            List<Integer> positions,
            double[] keyRows,
            List<Integer> keyPositions,
            List<Integer> visible) {
        double[] queries = rotated(linear(tiny, norm(rows), "self_attn.q_proj", WIDTH, WIDTH), HEADS, positions);
        double[] keys = rotated(linear(tiny, norm(keyRows), "self_attn.k_proj", HEAD, WIDTH), 1, keyPositions);
        double[] values = linear(tiny, norm(keyRows), "self_attn.v_proj", HEAD, WIDTH);
        double[] attended = new double[rows.length];
        for (int row = 0; row < positions.size(); row++) {
            for (int head = 0; head < HEADS; head++) {
                double[] weights = new double[keyPositions.size()];
                double total = 0;
                for (int key : visible) {
                    if (keyPositions.get(key) <= positions.get(row)) {
                        double score = 0;
                        for (int i = 0; i < HEAD; i++) {
                            score += queries[row * WIDTH + head * HEAD + i] * keys[key * HEAD + i];
                        }
                        weights[key] = Math.exp(score / Math.sqrt(HEAD));
                        total += weights[key];
                    }
                }
                for (int key = 0; key < weights.length; key++) {
                    for (int i = 0; i < HEAD && total > 0; i++) {
                        attended[row * WIDTH + head * HEAD + i] += weights[key] / total * values[key * HEAD + i];
                    }
                }
            }
        }
        double[] middle = sum(rows, linear(tiny, attended, "self_attn.o_proj", WIDTH, WIDTH));
        double[] gate = linear(tiny, norm(middle), "mlp.gate_proj", FFN, WIDTH);
        double[] up = linear(tiny, norm(middle), "mlp.up_proj", FFN, WIDTH);
        double[] inner = new double[gate.length];
        Arrays.setAll(inner, i -> gate[i] / (1 + Math.exp(-gate[i])) * up[i]);
        return sum(middle, linear(tiny, inner, "mlp.down_proj", WIDTH, FFN));
    }

    private static double[] norm(double[] rows) {
        double[] out = new double[rows.length];
        for (int row = 0; row < rows.length / WIDTH; row++) {
            double squares = 0;
            for (int i = 0; i < WIDTH; i++) {
                squares += rows[row * WIDTH + i] * rows[row * WIDTH + i];
            }
            double scale = 1 / Math.sqrt(squares / WIDTH + 1e-5); // the norms' weights start at 1
            for (int i = 0; i < WIDTH; i++) {
                out[row * WIDTH + i] = rows[row * WIDTH + i] * scale;
            }
        }
        return out;
    }

    private static double[] linear(TinyModel tiny, double[] rows, String name, int out, int in) {
        Parameter parameter = tiny.weights.parameters().stream()
                .filter(each -> each.name().equals("layers.0." + name + ".weight"))
                .findFirst()
                .orElseThrow();
        double[] weight = tiny.backend.readDoubles(tiny.weights.value(parameter));
        double[] result = new double[rows.length / in * out];
        for (int row = 0; row < rows.length / in; row++) {
            for (int o = 0; o < out; o++) {
                for (int i = 0; i < in; i++) {
                    result[row * out + o] += rows[row * in + i] * weight[o * in + i];
                }
            }
        }
        return result;
    }

    private static double[] rotated(double[] rows, int heads, List<Integer> positions) {
        double[] out = new double[rows.length];
        for (int row = 0; row < positions.size(); row++) {
            for (int head = 0; head < heads; head++) {
                for (int i = 0; i < HEAD / 2; i++) {
                    double angle = positions.get(row) * Math.pow(10000, -2.0 * i / HEAD);
                    int a = (row * heads + head) * HEAD + i;
                    int b = a + HEAD / 2;
                    out[a] = rows[a] * Math.cos(angle) - rows[b] * Math.sin(angle);
                    out[b] = rows[b] * Math.cos(angle) + rows[a] * Math.sin(angle);
                }
            }
        }
        return out;
    }

    private static double[] sum(double[] a, double[] b) {
        double[] out = new double[a.length];
        Arrays.setAll(out, i -> a[i] + b[i]);
        return out;
    }
}
