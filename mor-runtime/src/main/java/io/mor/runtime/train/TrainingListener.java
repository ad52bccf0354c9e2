package io.mor.runtime.train;

import java.nio.file.Path;
import java.util.Map;

/** Follows a training run; called on the training thread, between steps. */
public interface TrainingListener {

    /** Nobody listens. */
    TrainingListener NONE = new TrainingListener() {};

    /** A step is done that is due to be reported. */
    default void onStep(StepReport report) {}

    /** An evaluation is done. Figures by kebab-case name. */
    default void onEvaluation(long step, Map<String, Double> figures) {}

    /** A checkpoint is on disk. */
    default void onCheckpoint(long step, Path folder) {}
}
