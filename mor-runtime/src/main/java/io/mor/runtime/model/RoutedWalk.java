package io.mor.runtime.model;

import io.mor.api.cache.KvCache;
import io.mor.api.routing.Router;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * One recursion of the shared block: route, gather, apply, update (spec 2.3). The same code serves whole sequences in training and a decoding
 * batch of rows at mixed recursions.
 */
final class RoutedWalk {

    /**
     * What one recursion leaves.
     *
     * @param rows all rows of the stage, {@code [entry rows, hidden]}; those not selected are as before, bit for bit
     * @param active the rows that went through the block
     * @param state the router's memory of those
     */
    record Visit(Tensor rows, TokenBatch active, RoutingState state) {}

    private final Stage stage;
    private final int stageIndex;
    private final Router router;
    private final KvStorage storage;
    private final KvCache cache;

    RoutedWalk(Stage stage, int stageIndex, Router router, KvStorage storage, KvCache cache) {
        this.stage = stage;
        this.stageIndex = stageIndex;
        this.router = router;
        this.storage = storage;
        this.cache = cache;
    }

    /**
     * Takes the active rows through the recursions they are about to enter.
     *
     * @param rows all rows of the stage
     * @param active which of them are candidates; its entry rows say where they stand in {@code rows}
     * @param whole whether the candidates are all rows, in order
     */
    Visit visit(ModelCall call, Tensor rows, TokenBatch active, boolean whole, RoutingState state) {
        Ops ops = call.ops();
        Tensor candidates = whole ? rows : ops.gatherRows(rows, active.entryRow(), active.extent());
        Routing routing = router.route(call, active, candidates, state);
        call.routed(active, routing);
        boolean allSelected = routing.selected().isEmpty();
        TokenBatch selected = allSelected
                ? active
                : TokenBatches.select(call.region(), active, routing.selected().get());
        RoutingState selectedState = allSelected
                ? routing.state()
                : gather(ops, routing.state(), routing.selected().get());
        Optional<Tensor> gate = allSelected
                ? routing.gate()
                : routing.gate().map(g -> gather(ops, g, routing.selected().get()));

        Tensor previous = candidates;
        Tensor output;
        if (allSelected) {
            output = apply(call, active, candidates);
        } else if (everyCandidateRuns(active)) {
            output = gather(
                    ops, apply(call, active, candidates), routing.selected().get());
            previous = gather(ops, candidates, routing.selected().get());
        } else {
            previous = gather(ops, candidates, routing.selected().get());
            output = apply(call, selected, previous);
        }

        Tensor updated;
        if (router.updatesByGatedAddition()) {
            updated = ops.addToRows(rows, selected.entryRow(), output, gate);
        } else {
            Tensor fresh = router.update(call, selected, previous, output, selectedState, gate);
            updated = allSelected && whole ? fresh : ops.replaceRows(rows, selected.entryRow(), fresh);
        }
        return new Visit(updated, selected, selectedState);
    }

    private Tensor apply(ModelCall call, TokenBatch batch, Tensor rows) {
        int recursion = batch.isUniform() ? batch.segments().getFirst().recursion() : 1;
        return stage.blocks().get(recursion - 1).apply(call, batch, rows, storage.visit(call, stageIndex, batch));
    }

    private boolean everyCandidateRuns(TokenBatch active) {
        // A batch of mixed recursions is causal, and causal selection takes every row at recursion 1 anyway.
        return active.isUniform()
                && cache.everyCandidateRuns(active.segments().getFirst().recursion());
    }

    private static Tensor gather(Ops ops, Tensor x, Ops.Rows rows) {
        return ops.gatherRows(x, rows);
    }

    static RoutingState gather(Ops ops, RoutingState state, Ops.Rows rows) {
        Map<String, Tensor> columns = new LinkedHashMap<>();
        state.columns().forEach((name, values) -> columns.put(name, gather(ops, values, rows)));
        return new RoutingState(columns);
    }

    /** All recursions of rows that enter together. */
    Tensor walk(
            ModelCall call,
            Tensor rows,
            TokenBatch batch,
            Optional<Tensor> keepAfterFirst,
            RecursionListener listener) {
        RoutingState state = router.begin(call, batch, rows);
        Visit visit = new Visit(rows, batch, state);
        boolean whole = true;
        for (int recursion = 1; recursion <= stage.recursions(); recursion++) {
            TokenBatch active = TokenBatches.at(call.region(), visit.active(), recursion);
            int candidates = active.rows();
            visit = visit(call, visit.rows(), active, whole, visit.state());
            whole &= visit.active() == active && candidates == rows.rows();
            listener.visited(recursion, visit.active());
            if (recursion == 1 && keepAfterFirst.isPresent()) {
                Ops ops = call.ops();
                Tensor mask = ops.gatherRows(
                        keepAfterFirst.get(),
                        visit.active().entryRow(),
                        visit.active().extent());
                Ops.Rows kept = ops.compact(mask, Optional.empty());
                visit = new Visit(
                        visit.rows(),
                        TokenBatches.select(call.region(), visit.active(), kept),
                        gather(ops, visit.state(), kept));
                whole = false;
            }
        }
        return visit.rows();
    }

    /** Is told which rows went through each recursion. */
    @FunctionalInterface
    interface RecursionListener {
        void visited(int recursion, TokenBatch active);
    }
}
