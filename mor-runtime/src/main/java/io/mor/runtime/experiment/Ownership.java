package io.mor.runtime.experiment;

import io.mor.runtime.MorException;
import java.util.List;

/** Closing of what a run owns. */
final class Ownership {

    private Ownership() {}

    /** Closes in reverse order; the first failure is thrown when all are closed. */
    static void closeAll(List<AutoCloseable> owned) {
        RuntimeException failure = null;
        for (AutoCloseable resource : owned.reversed()) {
            try {
                resource.close();
            } catch (Exception e) {
                if (failure == null) {
                    failure = e instanceof RuntimeException unchecked
                            ? unchecked
                            : new MorException("closing failed: " + e.getMessage(), e);
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        owned.clear();
        if (failure != null) {
            throw failure;
        }
    }
}
