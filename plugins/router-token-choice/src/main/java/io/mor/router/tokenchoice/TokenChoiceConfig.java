package io.mor.router.tokenchoice;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.Objects;

/**
 * How token-choice routing is configured (spec 3).
 *
 * @param architecture the router's network
 * @param function what makes probabilities of logits
 * @param alpha factor of the probabilities
 * @param temperature divides the router's input
 * @param gating whether the gate weighs the update
 * @param balancing what keeps depths in equal use
 * @param coefficient of the balancing loss
 * @param updateRate how far a bias moves per optimizer step with {@link Balancing#LOSS_FREE}
 * @param balanceWarmupSteps micro-batches in which every token gets the maximum depth and biases stay 0; 0 for none
 * @param zCoefficient of the z-loss
 */
public record TokenChoiceConfig(
        @Help(
                "router network: linear, mlp (hidden -> 2 hidden -> recursions), wide-mlp (hidden -> 4 hidden -> recursions)")
        @DefaultValue("linear")
        Architecture architecture,

        @Help("probabilities of the depths: softmax, sigmoid") @DefaultValue("softmax")
        ScoreFunction function,

        @Help("factor of the probabilities") @DefaultValue("1") @Range(min = 0, exclusiveMin = true)
        double alpha,

        @Help("divides the router's input") @DefaultValue("1") @Range(min = 0, exclusiveMin = true)
        double temperature,

        @Help("weighted (the update is multiplied by the chosen depth's probability) or additive")
        @DefaultValue("weighted")
        Gating gating,

        @Help("what keeps depths in equal use: loss, loss-free, none") @DefaultValue("loss")
        Balancing balancing,

        @Help("coefficient of the balancing loss") @DefaultValue("0.1") @Range(min = 0)
        double coefficient,

        @Help("loss-free balancing: how far a bias moves per optimizer step") @DefaultValue("0.001") @Range(min = 0)
        double updateRate,

        @Help("micro-batches in which every token gets the maximum depth; 0: off") @DefaultValue("0") @Range(min = 0)
        int balanceWarmupSteps,

        @Help("coefficient of the z-loss; 0: only reported") @DefaultValue("0") @Range(min = 0)
        double zCoefficient) {

    /**
     * Checks every value.
     *
     * @throws IllegalArgumentException naming the key
     */
    public TokenChoiceConfig {
        Objects.requireNonNull(architecture, "router.architecture is null");
        Objects.requireNonNull(function, "router.function is null");
        Objects.requireNonNull(gating, "router.gating is null");
        Objects.requireNonNull(balancing, "router.balancing is null");
        requirePositive("router.alpha", alpha);
        requirePositive("router.temperature", temperature);
        requireNotNegative("router.coefficient", coefficient);
        requireNotNegative("router.update-rate", updateRate);
        requireNotNegative("router.balance-warmup-steps", balanceWarmupSteps);
        requireNotNegative("router.z-coefficient", zCoefficient);
    }

    private static void requirePositive(String key, double value) {
        if (!(value > 0) || value == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException(key + ": " + value + " is not a positive number");
        }
    }

    private static void requireNotNegative(String key, double value) {
        if (!(value >= 0) || value == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException(key + ": " + value + " is not 0 or a positive number");
        }
    }
}
