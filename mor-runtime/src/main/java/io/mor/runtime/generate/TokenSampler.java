package io.mor.runtime.generate;

import io.mor.api.tensor.RandomKey;
import java.util.Arrays;

/**
 * Draws a token from the softmax of logits over the tokens that top-k and top-p leave. Which number is drawn depends on the request's seed
 * and the token's index alone. Thread safety: immutable.
 */
final class TokenSampler {

    private final double temperature;
    private final int topK;
    private final double topP;
    private final long seed;

    TokenSampler(GenerationRequest request) {
        this.temperature = request.temperature();
        this.topK = request.topK();
        this.topP = request.topP();
        this.seed = request.seed();
    }

    /**
     * The token number {@code index} of a sequence.
     *
     * @param logits {@code [vocabulary]}, finite or negative infinity, not all of them the latter
     */
    int sample(double[] logits, long index) {
        double[] weights = weights(logits);
        if (topK > 0 && topK < weights.length || topP < 1) {
            filter(logits, weights);
        }
        double total = 0;
        for (double weight : weights) {
            total += weight;
        }
        double target = uniform(index) * total;
        double sum = 0;
        int last = -1;
        for (int id = 0; id < weights.length; id++) {
            if (weights[id] > 0) {
                sum += weights[id];
                last = id;
                if (target < sum) {
                    return id;
                }
            }
        }
        return last; // rounding has let the target reach the sum
    }

    /** A uniform number in [0, 1) with all 53 bits, since vocabularies have tokens rarer than 2^-24. */
    private double uniform(long index) {
        return (RandomKey.of(seed, "sample", index).bits(0, 0) >>> 11) * 0x1.0p-53;
    }

    /** Probabilities times a common factor; the most likely token has 1. */
    private double[] weights(double[] logits) {
        double largest = Double.NEGATIVE_INFINITY;
        for (double logit : logits) {
            largest = Math.max(largest, logit);
        }
        double[] weights = new double[logits.length];
        for (int id = 0; id < weights.length; id++) {
            weights[id] = Math.exp((logits[id] - largest) / temperature);
        }
        return weights;
    }

    /** Sets the weights of all tokens that are not to be drawn to 0. */
    private void filter(double[] logits, double[] weights) {
        int limit = topK > 0 ? Math.min(topK, logits.length) : logits.length;
        LikelyFirst order = new LikelyFirst(logits);
        int[] kept = new int[limit];
        double total = 0;
        if (limit < logits.length) {
            for (int i = 0; i < limit; i++) {
                kept[i] = order.next();
                total += weights[kept[i]];
            }
        } else {
            for (double weight : weights) {
                total += weight;
            }
        }
        int count = limit;
        if (topP < 1) {
            double sum = 0;
            count = 0;
            while (count < limit && (count == 0 || sum < topP * total)) {
                if (limit == logits.length) {
                    kept[count] = order.next();
                }
                sum += weights[kept[count]];
                count++;
            }
        }
        double[] all = weights.clone();
        Arrays.fill(weights, 0);
        for (int i = 0; i < count; i++) {
            weights[kept[i]] = all[kept[i]];
        }
    }

    /** Ids in descending order of their logits, the lower id of equals first; a heap, since few of many are asked for. */
    private static final class LikelyFirst {
        private final double[] logits;
        private final int[] heap;
        private int size;

        LikelyFirst(double[] logits) {
            this.logits = logits;
            this.size = logits.length;
            this.heap = new int[size];
            for (int id = 0; id < size; id++) {
                heap[id] = id;
            }
            for (int i = size / 2 - 1; i >= 0; i--) {
                sink(i);
            }
        }

        int next() {
            int first = heap[0];
            heap[0] = heap[--size];
            sink(0);
            return first;
        }

        private boolean before(int a, int b) {
            return logits[a] > logits[b] || logits[a] == logits[b] && a < b;
        }

        private void sink(int from) {
            int parent = from;
            while (2 * parent + 1 < size) {
                int child = 2 * parent + 1;
                if (child + 1 < size && before(heap[child + 1], heap[child])) {
                    child++;
                }
                if (!before(heap[child], heap[parent])) {
                    return;
                }
                int moved = heap[parent];
                heap[parent] = heap[child];
                heap[child] = moved;
                parent = child;
            }
        }
    }
}
