package io.mor.runtime.flops;

import io.mor.runtime.config.ModelConfig;
import java.util.List;

/**
 * {@code paper-flops}: the count by which the paper sets its budgets (spec 5.4). Forward only; attention projections as without grouped
 * queries; scores and values at their causal half; embedding, head, norms, activations and router not counted.
 */
public final class PaperFlops {

    private PaperFlops() {}

    /**
     * FLOPs of one token, forward.
     *
     * @param length tokens of a sequence, the paper's n
     */
    public static double perToken(ModelConfig model, List<LayerVisit> visits, int length) {
        double d = model.hidden();
        double f = model.ffn();
        double flops = 0;
        for (LayerVisit visit : visits) {
            double projections = (visit.projects() ? 8 : 4) * d * d;
            double seen = visit.window() == 0
                    ? visit.keys() * length / 2
                    : Math.min(visit.keys() * length / 2, visit.window());
            flops += visit.share() * (projections + 6 * d * f + 4 * seen * d);
        }
        return flops;
    }

    /** The tokens that a budget of forward FLOPs pays for. */
    public static double tokens(double budget, double perToken) {
        return budget / perToken;
    }

    /**
     * The optimizer steps that a budget of forward FLOPs pays for, not rounded.
     *
     * @param tokensPerStep for example 1024 * 2048
     */
    public static double steps(double budget, double perToken, long tokensPerStep) {
        return tokens(budget, perToken) / tokensPerStep;
    }
}
