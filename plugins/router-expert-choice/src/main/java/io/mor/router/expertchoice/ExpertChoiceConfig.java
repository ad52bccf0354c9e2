package io.mor.router.expertchoice;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;
import java.util.Objects;

/**
 * How expert-choice routing is configured (spec 2). The defaults are the published best setting.
 *
 * @param architecture the router's network
 * @param function what makes a gate of a logit
 * @param alpha factor of the gate; not applied with {@link ScoreFunction#NONE}
 * @param temperature divides the router's input
 * @param gating whether the gate weighs the update
 * @param capacity for every recursion the fraction of the sequence it takes, in (0, 1], not increasing; empty for {@code (Nr - r + 1) / Nr}
 * @param capacityWarmupSteps micro-batches over which capacities fall from 1 to their values; 0 for none (spec 2.4)
 * @param capacityWarmupStages in how many steps they fall, so that a backend can replay training steps of one shape; 0 for the exact cosine, a step
 *     with every micro-batch
 * @param sampling what learns to predict the selection
 * @param coefficient of the sampling loss
 * @param coefficientNormalization what the coefficient refers to
 * @param zCoefficient of the z-loss (spec 2.8)
 */
public record ExpertChoiceConfig(
        @Help("router network: linear, mlp (hidden -> 2 hidden -> 1), wide-mlp (hidden -> 4 hidden -> 1)")
        @DefaultValue("linear")
        Architecture architecture,

        @Help("gate of a logit: sigmoid, tanh, none") @DefaultValue("sigmoid")
        ScoreFunction function,

        @Help("factor of the gate; not applied with function none")
        @DefaultValue("0.1")
        @Range(min = 0, exclusiveMin = true)
        double alpha,

        @Help("divides the router's input") @DefaultValue("1") @Range(min = 0, exclusiveMin = true)
        double temperature,

        @Help("weighted (the update is multiplied by the gate) or additive") @DefaultValue("weighted")
        Gating gating,

        @Help(
                "fraction of the sequence that each recursion takes, one number per recursion, not increasing; empty: (Nr-r+1)/Nr")
        @DefaultValue("[]")
        @Range(min = 0, max = 1, exclusiveMin = true)
        List<Double> capacity,

        @Help("micro-batches over which capacities fall from 1 to their values along a cosine; 0: off")
        @DefaultValue("0")
        @Range(min = 0)
        int capacityWarmupSteps,

        @Help(
                "in how many steps capacities fall, so that a GPU can replay whole training steps; 0: with every micro-batch, the exact cosine")
        @DefaultValue("32")
        @Range(min = 0)
        int capacityWarmupStages,

        @Help("what learns to predict the selection: aux-loss, aux-router, none") @DefaultValue("aux-loss")
        Sampling sampling,

        @Help("coefficient of the sampling loss") @DefaultValue("0.001") @Range(min = 0)
        double coefficient,

        @Help("mean, or as-released: times the micro-batches per optimizer step") @DefaultValue("mean")
        CoefficientNormalization coefficientNormalization,

        @Help("coefficient of the z-loss; 0: only reported") @DefaultValue("0") @Range(min = 0)
        double zCoefficient) {

    /**
     * Checks what can be checked without the model.
     *
     * @throws IllegalArgumentException naming the key
     */
    public ExpertChoiceConfig {
        Objects.requireNonNull(architecture, "router.architecture is null");
        Objects.requireNonNull(function, "router.function is null");
        Objects.requireNonNull(gating, "router.gating is null");
        Objects.requireNonNull(sampling, "router.sampling is null");
        Objects.requireNonNull(coefficientNormalization, "router.coefficient-normalization is null");
        capacity = List.copyOf(capacity);
        CapacitySchedule.check(capacity);
        requirePositive("router.alpha", alpha);
        requirePositive("router.temperature", temperature);
        requireNotNegative("router.coefficient", coefficient);
        requireNotNegative("router.z-coefficient", zCoefficient);
        requireNotNegative("router.capacity-warmup-steps", capacityWarmupSteps);
        requireNotNegative("router.capacity-warmup-stages", capacityWarmupStages);
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
