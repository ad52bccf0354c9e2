package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.backend.HostCopy;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.data.Batch;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import io.mor.runtime.tape.Recomputation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A micro-batch forwards and backwards, whose losses and figures are on their way to the host.
 *
 * @param parts what the values are, in their order
 * @param values all of them, one after the other
 */
record MicroStep(List<Part> parts, HostCopy values) {

    /**
     * Values that were reported together.
     *
     * @param kind what they are
     * @param name of a figure
     * @param terms how many tensors they come from
     * @param elements of each
     */
    record Part(Kind kind, String name, int terms, int elements) {}

    /** What values can be. */
    enum Kind {
        /** The mean loss of the language model. */
        CROSS_ENTROPY,
        /** What the auxiliary losses add to it. */
        AUXILIARY,
        /** A loss by name, before its coefficient; its terms are to be added. */
        LOSS,
        /** A figure by name; its terms are to be averaged. */
        METRIC
    }

    /**
     * Adds the gradients of {@code 1 / accumulation} of the loss to those of the weights.
     *
     * @param health {@code [1, 1]}: becomes NaN if the loss is not finite, else stays as it is
     */
    static MicroStep run(
            MorModel model,
            Weights weights,
            Recomputation recomputation,
            Region region,
            CallProgress progress,
            Batch batch,
            boolean first,
            Tensor health) {
        Backend backend = weights.backend();
        ModelCall call = model.call(region, Phase.TRAINING, weights, progress, recomputation, first);
        TokenBatch tokens = TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context()));
        Tensor rows = model.rows(call, tokens, region.ints(batch.inputs()), model.stepStorage());
        double share = 1.0 / progress.accumulation();
        Tensor loss = call.tape()
                .meanHeadCrossEntropy(rows, weights.value(model.head()), region.ints(batch.targets()), share);
        Optional<Tensor> auxiliary = call.weightedLosses();
        // The language model's own gradients were taken on the way forward; the tape carries them on, with or without
        // other losses.
        call.tape().backward(auxiliary.orElse(loss), share);

        backend.affine(health, loss, 0, 0, true); // 0 times what is not finite is NaN
        auxiliary.ifPresent(others -> backend.affine(health, others, 0, 0, true));
        Report report = new Report();
        report.add(Kind.CROSS_ENTROPY, "", List.of(loss));
        auxiliary.ifPresent(others -> report.add(Kind.AUXILIARY, "", List.of(others)));
        call.losses().forEach((name, terms) -> report.add(Kind.LOSS, name, terms));
        call.metrics().forEach((name, values) -> report.add(Kind.METRIC, name, values));
        return report.send(region);
    }

    /** Tensors that go to the host together. */
    private static final class Report {
        private final List<Part> parts = new ArrayList<>();
        private final List<Tensor> tensors = new ArrayList<>();

        void add(Kind kind, String name, List<Tensor> terms) {
            for (Tensor term : terms) {
                int elements = term.rows() * term.columns();
                boolean goesOn = !parts.isEmpty()
                        && parts.getLast().kind() == kind
                        && parts.getLast().name().equals(name)
                        && parts.getLast().elements() == elements;
                parts.add(
                        goesOn
                                ? new Part(kind, name, parts.removeLast().terms() + 1, elements)
                                : new Part(kind, name, 1, elements));
                tensors.add(term);
            }
        }

        MicroStep send(Region region) {
            Backend backend = region.backend();
            Tensor all = region.allocate(
                    tensors.stream()
                            .mapToInt(each -> each.rows() * each.columns())
                            .sum(),
                    1);
            int first = 0;
            for (Tensor each : tensors) {
                Extent extent = Extent.exact(each.rows());
                Tensor place = backend.view(all, first, Extent.exact(each.rows() * each.columns()), 1);
                backend.copy(
                        backend.view(place, 0, extent, each.columns()), backend.view(each, 0, extent, each.columns()));
                first += each.rows() * each.columns();
            }
            return new MicroStep(List.copyOf(parts), backend.readLater(all));
        }
    }

    /** Mean loss of the language model, nats per token. Waits. */
    double crossEntropy() {
        return sum(Kind.CROSS_ENTROPY);
    }

    /** The loss with the auxiliary terms. Waits. */
    double totalLoss() {
        return crossEntropy() + sum(Kind.AUXILIARY);
    }

    private double sum(Kind kind) {
        double sum = 0;
        double[] all = values.values();
        int first = 0;
        for (Part part : parts) {
            int end = first + part.terms() * part.elements();
            for (int i = first; i < end && part.kind() == kind; i++) {
                sum += all[i];
            }
            first = end;
        }
        return sum;
    }

    /** What the parts of the model reported, by name. Waits. */
    Map<String, List<double[]>> figures() {
        Map<String, List<double[]>> figures = new LinkedHashMap<>();
        double[] all = values.values();
        int first = 0;
        for (Part part : parts) {
            int end = first + part.terms() * part.elements();
            List<double[]> reported = new ArrayList<>();
            if (part.kind() == Kind.LOSS) {
                reported.add(new double[] {Arrays.stream(all, first, end).sum()});
            } else if (part.kind() == Kind.METRIC) {
                for (int i = first; i < end; i += part.elements()) {
                    reported.add(Arrays.copyOfRange(all, i, i + part.elements()));
                }
            }
            if (!reported.isEmpty()) {
                figures.computeIfAbsent(part.name(), key -> new ArrayList<>()).addAll(reported);
            }
            first = end;
        }
        return figures;
    }
}
