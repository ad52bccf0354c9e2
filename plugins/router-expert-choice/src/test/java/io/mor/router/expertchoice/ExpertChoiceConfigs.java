package io.mor.router.expertchoice;

import java.util.List;

/** The default config, with what a test changes. */
final class ExpertChoiceConfigs {

    Architecture architecture = Architecture.LINEAR;
    ScoreFunction function = ScoreFunction.SIGMOID;
    double alpha = 0.1;
    double temperature = 1;
    Gating gating = Gating.WEIGHTED;
    List<Double> capacity = List.of();
    int capacityWarmupSteps;
    int capacityWarmupStages = 32;
    Sampling sampling = Sampling.AUX_LOSS;
    double coefficient = 0.001;
    CoefficientNormalization normalization = CoefficientNormalization.MEAN;
    double zCoefficient;

    ExpertChoiceConfig build() {
        return new ExpertChoiceConfig(
                architecture,
                function,
                alpha,
                temperature,
                gating,
                capacity,
                capacityWarmupSteps,
                capacityWarmupStages,
                sampling,
                coefficient,
                normalization,
                zCoefficient);
    }
}
