package io.mor.testkit;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * A cache strategy around another that checks each answer: plans can be carried out and are the same whenever they are asked for. Every broken
 * rule is an {@link AssertionError} that names the visit. Thread safety: one thread.
 */
public final class AssertingKvCache implements KvCache {

    private final KvCache delegate;
    private final Map<Question, KvVisit> plans = new HashMap<>();
    private final Map<Integer, Boolean> runs = new HashMap<>();

    private record Question(int recursion, int recursions, int layer) {
        @Override
        public String toString() {
            return "recursion " + recursion + " of " + recursions + ", layer " + layer;
        }
    }

    /** Around a strategy. */
    public AssertingKvCache(KvCache delegate) {
        this.delegate = Objects.requireNonNull(delegate, "delegate is null");
    }

    @Override
    public KvVisit visit(int recursion, int recursions, int layer) {
        Question question = new Question(recursion, recursions, layer);
        if (recursion < 1 || recursion > recursions || layer < 0) {
            throw new AssertionError("visit: there is no " + question);
        }
        KvVisit plan = plan(question);
        if (plan.source() > recursion) {
            throw new AssertionError(
                    "visit: " + question + " reads recursion " + plan.source() + ", which comes later");
        }
        if (plan.source() == recursion && !plan.writes()) {
            throw new AssertionError("visit: " + question + " reads its own keys and values and writes none");
        }
        if (plan.source() == recursion && plan.overlays()) {
            throw new AssertionError("visit: " + question + " lays its keys and values over its own");
        }
        if (plan.source() < recursion) {
            Question earlier = new Question(plan.source(), recursions, layer);
            KvVisit source = plan(earlier);
            if (!source.writes() || source.source() != plan.source()) {
                throw new AssertionError("visit: " + question + " reads what recursion " + plan.source()
                        + " stored, but that one " + (source.writes() ? "reads another's" : "writes nothing"));
            }
        }
        return plan;
    }

    private KvVisit plan(Question question) {
        KvVisit plan = delegate.visit(question.recursion(), question.recursions(), question.layer());
        if (plan == null) {
            throw new AssertionError("visit: the plan of " + question + " is null");
        }
        KvVisit before = plans.putIfAbsent(question, plan);
        if (before != null && !before.equals(plan)) {
            throw new AssertionError("visit: the plan of " + question + " was " + before + " and is now " + plan
                    + "; a strategy is immutable");
        }
        return plan;
    }

    @Override
    public boolean everyCandidateRuns(int recursion) {
        boolean now = delegate.everyCandidateRuns(recursion);
        Boolean before = runs.putIfAbsent(recursion, now);
        if (before != null && before != now) {
            throw new AssertionError(
                    "everyCandidateRuns: recursion " + recursion + " was " + before + " and is now " + now);
        }
        return now;
    }
}
