package io.mor.runtime.flops;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import io.mor.api.routing.Router;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.model.LayerPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** All visits of layers in a full pass: what every cost is a sum over. */
public final class LayerVisits {

    private LayerVisits() {}

    /**
     * The visits of a model.
     *
     * @param router says which part of the tokens runs a recursion; empty: all run all
     */
    public static List<LayerVisit> of(ModelConfig model, KvCache cache, Optional<Router> router) {
        LayerPlan plan = LayerPlan.of(model);
        List<Double> shares = new ArrayList<>();
        for (int recursion = 1; recursion <= plan.recursions(); recursion++) {
            shares.add(router.isPresent() ? router.get().expectedShare(recursion, plan.recursions()) : 1.0);
        }
        return of(plan, model.kvSharingGroups(), cache, shares);
    }

    /**
     * The visits of a model.
     *
     * @param capacities part of the tokens that each recursion selects, one per recursion (spec 2.4)
     */
    public static List<LayerVisit> of(ModelConfig model, KvCache cache, List<Double> capacities) {
        LayerPlan plan = LayerPlan.of(model);
        if (capacities.size() != plan.recursions()) {
            throw new IllegalArgumentException(
                    capacities.size() + " capacities for " + plan.recursions() + " recursions");
        }
        return of(plan, model.kvSharingGroups(), cache, capacities);
    }

    private static List<LayerVisit> of(LayerPlan plan, int groups, KvCache cache, List<Double> capacities) {
        List<LayerVisit> visits = new ArrayList<>();
        List<Double> shares = running(cache, capacities);
        if (plan.sharing().isMiddle()) {
            end(cache, visits);
        }
        boolean sequence = plan.sharing() == Sharing.SEQUENCE || plan.sharing() == Sharing.MIDDLE_SEQUENCE;
        if (plan.sharing() == Sharing.NONE) {
            List<Double> all = new ArrayList<>();
            for (int group = 0; group < groups; group++) {
                all.add(1.0);
            }
            stage(cache, all, plan.layers() / groups, groups > 1, visits);
        } else {
            for (int stage = 0; stage < (sequence ? plan.blockLayers() : 1); stage++) {
                stage(cache, shares, sequence ? 1 : plan.blockLayers(), true, visits);
            }
        }
        if (plan.sharing().isMiddle()) {
            end(cache, visits);
        }
        return List.copyOf(visits);
    }

    /** Where every candidate runs, the tokens of the recursion before run too, selected or not (spec 4.1). */
    private static List<Double> running(KvCache cache, List<Double> capacities) {
        List<Double> shares = new ArrayList<>();
        for (int i = 0; i < capacities.size(); i++) {
            double candidates = i == 0 ? 1 : capacities.get(i - 1);
            shares.add(cache.everyCandidateRuns(i + 1) ? candidates : capacities.get(i));
        }
        return shares;
    }

    private static void end(KvCache cache, List<LayerVisit> visits) {
        stage(cache, List.of(1.0), 1, false, visits);
    }

    private static void stage(
            KvCache cache, List<Double> shares, int layers, boolean recursive, List<LayerVisit> visits) {
        for (int recursion = 1; recursion <= shares.size(); recursion++) {
            for (int layer = 0; layer < layers; layer++) {
                KvVisit plan = cache.visit(recursion, shares.size(), layer);
                visits.add(new LayerVisit(
                        recursive,
                        recursion,
                        shares.get(recursion - 1),
                        plan.writes(),
                        shares.get(plan.source() - 1),
                        plan.window()));
            }
        }
    }
}
