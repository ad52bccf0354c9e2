package io.mor.runtime.train;

import java.util.Map;

/**
 * What a step found out.
 *
 * @param crossEntropy mean loss of the language model, nats per token
 * @param totalLoss with its auxiliary terms
 * @param gradientNorm before clipping
 * @param reported means of what parts of the model reported, by name
 */
public record StepFigures(double crossEntropy, double totalLoss, double gradientNorm, Map<String, Double> reported) {}
