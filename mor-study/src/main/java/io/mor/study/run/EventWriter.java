package io.mor.study.run;

import java.io.PrintStream;

/** Passes a trial's progress on as lines; see {@link TrialEvent}. */
public final class EventWriter implements TrialProgress {

    private final PrintStream out;

    /** A writer. */
    public EventWriter(PrintStream out) {
        this.out = out;
    }

    @Override
    public void step(long done, long steps, double loss, double rate, double secondsLeft) {
        write(new TrialEvent("step", done, steps, loss, rate, secondsLeft, ""));
    }

    @Override
    public void evaluated(long done, double loss) {
        write(new TrialEvent("evaluated", done, 0, loss, 0, 0, ""));
    }

    @Override
    public void measuring() {
        write(new TrialEvent("measuring", 0, 0, Double.NaN, 0, 0, ""));
    }

    @Override
    public void note(String text) {
        write(new TrialEvent("note", 0, 0, Double.NaN, 0, 0, text));
    }

    private void write(TrialEvent event) {
        out.println(event.line());
        out.flush();
    }
}
