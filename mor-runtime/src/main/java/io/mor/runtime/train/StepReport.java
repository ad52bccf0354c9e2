package io.mor.runtime.train;

import java.util.Map;

/**
 * What a step did.
 *
 * @param step from 0
 * @param totalSteps steps of the run
 * @param crossEntropy mean loss of the language model in nats per token
 * @param totalLoss with auxiliary losses
 * @param learningRate used
 * @param gradientNorm before clipping
 * @param tokensPerSecond over the last steps
 * @param secondsLeft estimate for the rest of the run
 * @param figures everything that is recorded, by kebab-case name, the above among them
 */
public record StepReport(
        long step,
        long totalSteps,
        double crossEntropy,
        double totalLoss,
        double learningRate,
        double gradientNorm,
        double tokensPerSecond,
        double secondsLeft,
        Map<String, Double> figures) {}
