package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * Parameters that the optimizer treats alike.
 *
 * @param name its name in checkpoints and metrics
 * @param weightDecay whether the configured weight decay applies
 * @param learningRateFactor times the scheduled learning rate
 * @param separateClipping whether its gradients are clipped by their own norm instead of the model's
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record OptimizerGroup(String name, boolean weightDecay, double learningRateFactor, boolean separateClipping) {

    /** Weights: decayed, clipped with the whole model. */
    public static final OptimizerGroup DECAYED = new OptimizerGroup("decayed", true, 1, false);

    /** Norms and biases: not decayed (spec 5.3). */
    public static final OptimizerGroup UNDECAYED = new OptimizerGroup("undecayed", false, 1, false);

    /** Auxiliary predictors: ten times the learning rate, clipped by themselves (spec 2.6). */
    public static final OptimizerGroup AUXILIARY = new OptimizerGroup("auxiliary", true, 10, true);
}
