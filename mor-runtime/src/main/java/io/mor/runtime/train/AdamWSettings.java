package io.mor.runtime.train;

/**
 * What does not change from step to step (spec 5.3).
 *
 * @param beta1 of the first moment
 * @param beta2 of the second moment
 * @param epsilon added to the root
 * @param weightDecay of decayed groups
 * @param clipNorm largest norm of the gradients, 0 for no clipping
 */
public record AdamWSettings(double beta1, double beta2, double epsilon, double weightDecay, double clipNorm) {

    /** The published recipe. */
    public static final AdamWSettings PUBLISHED = new AdamWSettings(0.9, 0.95, 1e-8, 0.1, 1.0);
}
