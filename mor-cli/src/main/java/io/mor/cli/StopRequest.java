package io.mor.cli;

import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.TrainingOutcome;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Ctrl-C (or SIGTERM) as a request: the work under way comes to a good end, is saved, and only then the process ends, with the code of the
 * signal. Thread safety: safe.
 */
final class StopRequest {

    private final AtomicBoolean requested = new AtomicBoolean();

    private StopRequest() {}

    /** Listens from now on. */
    static StopRequest listen(Console console) {
        StopRequest request = new StopRequest();
        Runtime.getRuntime()
                .addShutdownHook(Thread.ofPlatform().name("mor-stop").unstarted(() -> {
                    if (console.isClosed()) {
                        return; // an ordinary end
                    }
                    request.requested.set(true);
                    console.err().println();
                    console.say("stopping: the step under way is finished and saved first");
                    console.awaitClosed();
                }));
        return request;
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
