package io.mor.cli;

import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.TrainingOutcome;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Ctrl-C (or SIGTERM) as a request: the work under way comes to a good end, is saved, and only then the process ends, with the code of the
 * signal. Thread safety: safe.
 */
final class StopRequest implements AutoCloseable {

    private final AtomicBoolean requested = new AtomicBoolean();
    private final Thread hook;

    private StopRequest(Console console) {
        this.hook = Thread.ofPlatform().name("mor-stop").unstarted(() -> {
            if (console.isClosed()) {
                return; // an ordinary end
            }
            requested.set(true);
            console.err().println();
            console.say("stopping: the step under way is finished and saved first");
            console.awaitClosed();
        });
    }

    /** Listens until closed. */
    static StopRequest listen(Console console) {
        StopRequest request = new StopRequest(console);
        Runtime.getRuntime().addShutdownHook(request.hook);
        return request;
    }

    /** Stops listening; a process that is already ending still waits until everything has been said. */
    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException ending) {
            // the hook is at work
        }
    }

    /** Says where a run that was stopped stands and how it goes on. */
    static void say(Console console, TrainingRun run, TrainingOutcome outcome) {
        console.say("stopped after step "
                + outcome.state().step()
                + " of "
                + run.config().training().steps()
                + "; saved. Go on with: mor train --resume "
                + run.folder().path());
    }

    /** Whether the work should come to its end. */
    boolean requested() {
        return requested.get();
    }
}
