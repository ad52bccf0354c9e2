package io.mor.api.backend;

import io.mor.api.plugin.Stability;

/**
 * The numbers of one AdamW step (spec 5.3): {@code m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr * (m / (1-b1^t) / (sqrt(v /
 * (1-b2^t)) + eps) + decay * p)}.
 *
 * @param learningRate scheduled, times the group's factor
 * @param beta1 of the first moment
 * @param beta2 of the second moment
 * @param epsilon added to the root
 * @param weightDecay decoupled decay, 0 for undecayed groups
 * @param step t, from 1
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record AdamWStep(
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay, long step) {}
