package io.mor.runtime.conformance;

import io.mor.api.backend.Backend;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.model.ModelCall;
import java.util.List;
import java.util.Optional;

/**
 * Puts the recorded selections in the place of those that a call makes, and counts how many would have been others: where activations have few
 * digits, a token at the edge of a selection goes the other way and everything after it is another computation.
 */
final class ForcedSelections {

    private final Backend backend;
    private final List<List<List<Integer>>> selected; // recursion, sequence: positions
    private final List<List<Integer>> causalDepth; // sequence, position
    private long candidates;
    private long changed;

    ForcedSelections(Backend backend, List<List<List<Integer>>> selected, List<List<Integer>> causalDepth) {
        this.backend = backend;
        this.selected = selected;
        this.causalDepth = causalDepth;
    }

    /** From now on the call gets the recorded selections. */
    ModelCall force(ModelCall call) {
        call.replaceSelections((request, own) -> recorded(call, request, own));
        return call;
    }

    /** The part of the candidates whose own selection was another than the recorded one. */
    double changedShare() {
        return candidates == 0 ? 0 : (double) changed / candidates;
    }

    private Selection recorded(ModelCall call, SelectionRequest request, Selection own) {
        TokenBatch batch = request.batch();
        int rows = batch.extent()
                .count()
                .map(counter -> backend.readInts(counter)[0])
                .orElse(batch.rows());
        int[] sequence = backend.readInts(batch.sequence());
        int[] position = backend.readInts(batch.position());
        double[] chosen = backend.readDoubles(own.mask());
        double[] mask = new double[batch.rows()];
        int goOn = 0;
        for (int i = 0; i < rows; i++) {
            boolean goesOn = call.phase() == Phase.CAUSAL
                    ? causalDepth.get(sequence[i]).get(position[i]) >= request.recursion()
                    : selected.get(request.recursion() - 1).get(sequence[i]).contains(position[i]);
            mask[i] = goesOn ? 1 : 0;
            goOn += goesOn ? 1 : 0;
            candidates++;
            changed += goesOn != chosen[i] > 0 ? 1 : 0;
        }
        Tensor forced = call.region().allocate(batch.extent(), 1);
        backend.write(forced, mask);
        return new Selection(forced, own.exact().isPresent() ? Optional.of(goOn) : Optional.empty());
    }
}
