package io.mor.study.plan;

import io.mor.runtime.config.ExperimentConfig;

/** How fast this machine trains; asked where a budget holds seconds equal. */
@FunctionalInterface
public interface TrainingRates {

    /** Tokens per second of training a config. */
    double tokensPerSecond(ExperimentConfig config);
}
