package io.mor.router.tokenchoice;

/** The default config, with what a test changes. */
final class TokenChoiceConfigs {

    Architecture architecture = Architecture.LINEAR;
    ScoreFunction function = ScoreFunction.SOFTMAX;
    double alpha = 1;
    double temperature = 1;
    Gating gating = Gating.WEIGHTED;
    Balancing balancing = Balancing.LOSS;
    double coefficient = 0.1;
    double updateRate = 0.001;
    int balanceWarmupSteps;
    double zCoefficient;

    TokenChoiceConfig build() {
        return new TokenChoiceConfig(
                architecture,
                function,
                alpha,
                temperature,
                gating,
                balancing,
                coefficient,
                updateRate,
                balanceWarmupSteps,
                zCoefficient);
    }
}
