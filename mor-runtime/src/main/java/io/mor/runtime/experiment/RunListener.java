package io.mor.runtime.experiment;

import io.mor.runtime.data.DataListener;
import io.mor.runtime.train.TrainingListener;

/** Follows a run: its data, its steps, and whatever is worth a line. Called on the thread that trains. */
public interface RunListener extends TrainingListener {

    /** Nobody listens. */
    RunListener NONE = new RunListener() {};

    /** Something that is not an error but should be known: a slower path, an adjusted layer count, a sink that failed. */
    default void note(String message) {}

    /** Hears about tokenising. */
    default DataListener data() {
        return new DataListener() {
            @Override
            public void warning(String message) {
                note(message);
            }
        };
    }
}
