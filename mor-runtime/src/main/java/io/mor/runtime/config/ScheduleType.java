package io.mor.runtime.config;

/** How the learning rate moves (spec 5.3). In configs in kebab case. */
public enum ScheduleType {
    /** Linear warmup, constant, linear decay to 0. */
    TRAPEZOID,
    /** Linear warmup, cosine decay to a part of the peak. */
    COSINE
}
