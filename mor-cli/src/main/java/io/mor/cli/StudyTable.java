package io.mor.cli;

import io.mor.study.StudyResults.State;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.StudyPlan;
import io.mor.study.run.StudyProgress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * How a study goes: on a terminal a table of its trials that is written over, elsewhere a line for whatever happens and one for each running trial now
 * and then. Thread safety: the study calls it one thread at a time.
 */
final class StudyTable implements StudyProgress, AutoCloseable {

    private static final long TERMINAL_INTERVAL = 250_000_000L;
    private static final long PLAIN_INTERVAL = 20_000_000_000L;

    /** More rows than fit a screen cannot be written over. */
    private static final int MOST_ROWS = 20;

    private static final int BAR = 10;

    /** What is shown of a trial. */
    private static final class Row {
        private final PlannedTrial trial;
        private State state = State.PENDING;
        private String progress = "";
        private double validation = Double.NaN;
        private long told;

        Row(PlannedTrial trial) {
            this.trial = trial;
        }
    }

    private final Console console;
    private final LongSupplier nanoTime;
    private final Map<String, Row> rows = new LinkedHashMap<>();
    private int drawn;
    private long last;

    StudyTable(Console console, StudyPlan plan) {
        this(console, plan, System::nanoTime);
    }

    /**
     * A table with a clock of its own.
     *
     * @param nanoTime as {@link System#nanoTime}
     */
    StudyTable(Console console, StudyPlan plan, LongSupplier nanoTime) {
        this.console = console;
        this.nanoTime = nanoTime;
        plan.trials().forEach(trial -> rows.put(trial.id(), new Row(trial)));
    }

    @Override
    public void state(PlannedTrial trial, State state, String detail) {
        Row row = rows.get(trial.id());
        boolean before = row.told == 0 && state == State.DONE; // done in an earlier run
        row.state = state;
        row.progress = detail;
        row.told = nanoTime.getAsLong();
        String text = switch (state) {
            case RUNNING -> "begins";
            case DONE -> "done" + validation(row);
            case FAILED -> "FAILED: " + detail;
            case PENDING -> "stopped, saved";
        };
        if (console.progressOnTerminal()) {
            if (state == State.FAILED) {
                print(name(row) + ": " + text);
            }
            draw(true);
        } else if (!before) {
            console.err().println(name(row) + ": " + text);
        }
    }

    @Override
    public void step(PlannedTrial trial, long done, long steps, double loss, double rate, double secondsLeft) {
        Row row = rows.get(trial.id());
        row.progress = String.format(
                Locale.ROOT,
                "%s %d/%d  loss %.3f  %,.0f tokens/s  ETA %s",
                ProgressLine.bar((double) done / steps, BAR),
                done,
                steps,
                loss,
                rate,
                ProgressLine.duration(secondsLeft));
        tell(row);
    }

    @Override
    public void evaluated(PlannedTrial trial, long done, double loss) {
        Row row = rows.get(trial.id());
        row.validation = loss;
        tell(row);
    }

    @Override
    public void measuring(PlannedTrial trial) {
        Row row = rows.get(trial.id());
        row.progress = "measuring";
        tell(row);
    }

    @Override
    public void note(String text) {
        print("mor: " + text);
        draw(true);
    }

    private void tell(Row row) {
        if (console.progressOnTerminal()) {
            draw(false);
        } else if (nanoTime.getAsLong() - row.told >= PLAIN_INTERVAL) {
            row.told = nanoTime.getAsLong();
            console.err().println(name(row) + ": " + row.progress + validation(row));
        }
    }

    private String name(Row row) {
        int place = new ArrayList<>(rows.keySet()).indexOf(row.trial.id()) + 1;
        return "[" + place + "/" + rows.size() + "] " + row.trial.variant() + ", seed "
                + row.trial.config().seed();
    }

    private static String validation(Row row) {
        return Double.isNaN(row.validation) ? "" : String.format(Locale.ROOT, "  validation %.4f", row.validation);
    }

    // ---- on a terminal

    /** Prints a line that stays, above the table. */
    private void print(String text) {
        erase();
        console.err().println(text);
    }

    private void erase() {
        if (drawn > 0) {
            console.err().print("\u001b[" + drawn + "A\u001b[J");
            drawn = 0;
        }
    }

    private void draw(boolean now) {
        if (!console.progressOnTerminal() || !now && nanoTime.getAsLong() - last < TERMINAL_INTERVAL) {
            return;
        }
        last = nanoTime.getAsLong();
        List<String> lines = new ArrayList<>();
        lines.add(summary());
        for (Row row : shown()) {
            lines.add("  " + name(row) + "  " + word(row) + " " + (row.state == State.RUNNING ? row.progress : "")
                    + validation(row));
        }
        erase();
        int room = Math.max(20, console.columns() - 1);
        StringBuilder text = new StringBuilder();
        lines.forEach(line -> text.append(line.length() > room ? line.substring(0, room) : line)
                .append('\n'));
        console.err().print(text);
        console.err().flush();
        drawn = lines.size();
    }

    /** All rows, or those that matter most if there are too many: running, failed, the last ones done, the next ones. */
    private List<Row> shown() {
        List<Row> all = List.copyOf(rows.values());
        if (all.size() <= MOST_ROWS) {
            return all;
        }
        List<Row> running =
                all.stream().filter(row -> row.state == State.RUNNING).toList();
        int first = running.isEmpty() ? 0 : all.indexOf(running.getFirst());
        int from = Math.clamp(first - MOST_ROWS / 2L, 0, all.size() - MOST_ROWS);
        return all.subList(from, from + MOST_ROWS);
    }

    private String summary() {
        Map<State, Long> counts = new LinkedHashMap<>();
        rows.values().forEach(row -> counts.merge(row.state, 1L, Long::sum));
        return counts.getOrDefault(State.DONE, 0L) + " done, "
                + counts.getOrDefault(State.RUNNING, 0L) + " running, "
                + counts.getOrDefault(State.PENDING, 0L) + " waiting, "
                + counts.getOrDefault(State.FAILED, 0L) + " failed of " + rows.size();
    }

    private static String word(Row row) {
        return switch (row.state) {
            case PENDING -> "waits";
            case RUNNING -> "";
            case DONE -> "done";
            case FAILED -> "FAILED";
        };
    }

    @Override
    public void close() {
        draw(true);
        drawn = 0;
    }
}
