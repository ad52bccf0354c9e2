package io.mor.study.run;

import io.mor.runtime.MorException;
import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Study;
import io.mor.study.StudyResults.Trial;
import io.mor.study.UnreadableDatabaseException;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.StudyPlan;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * Runs a study, or goes on with it: every trial of the plan that is not done is done, side by side if wanted, and the database follows. This process
 * alone writes the database; trials write their own folders, from which the database can always be made again.
 */
public final class StudyRun {

    private static final long WATCH_MILLIS = 200;
    private static final long REFRESH_NANOS = 60_000_000_000L;

    /**
     * How a study is run.
     *
     * @param parallel trials side by side; 1 in this process
     * @param launcher starts trials in processes of their own; empty: they run in this one
     * @param program facts about the program, for the record: {@code mor}, {@code commit}
     */
    public record Options(int parallel, Optional<TrialLauncher> launcher, Map<String, String> program) {

        /** Checks the count. */
        public Options {
            program = Map.copyOf(program);
            if (parallel < 1 || parallel > 1 && launcher.isEmpty()) {
                throw new IllegalArgumentException("trials in this process run one at a time");
            }
        }
    }

    /**
     * How it ended.
     *
     * @param done trials that are done
     * @param failed trials that failed
     * @param stopped whether it was asked to stop before its end
     */
    public record Summary(int done, int failed, boolean stopped) {}

    private final StudyFolder folder;
    private final StudyPlan plan;
    private final Options options;
    private final StudyProgress progress;
    private final BooleanSupplier stopRequested;
    private final Devices devices;
    private final Map<String, State> states = new LinkedHashMap<>();
    private final Map<String, String> failures = new LinkedHashMap<>();
    private Instant created = Instant.EPOCH;
    private Optional<String> databaseTrouble = Optional.empty();
    private final Set<String> noted = new HashSet<>();

    private StudyRun(
            StudyFolder folder,
            StudyPlan plan,
            Options options,
            Devices devices,
            StudyProgress progress,
            BooleanSupplier stopRequested) {
        this.folder = folder;
        this.plan = plan;
        this.options = options;
        this.devices = devices;
        this.progress = progress;
        this.stopRequested = stopRequested;
    }

    /**
     * Runs it.
     *
     * @param stopRequested asked all the time; then trials save what they have and end
     * @throws io.mor.runtime.UsageException if the folder is another study's
     * @throws MorException if another process works on it, a newer version wrote its database, or the database could not be written to the end
     */
    public static Summary run(
            StudyFolder folder,
            StudyPlan plan,
            Options options,
            StudyProgress progress,
            BooleanSupplier stopRequested) {
        return run(folder, plan, options, Devices.ofThisMachine(), progress, stopRequested);
    }

    static Summary run(
            StudyFolder folder,
            StudyPlan plan,
            Options options,
            Devices devices,
            StudyProgress progress,
            BooleanSupplier stopRequested) {
        folder.check(plan.study().name());
        FolderLock lock = FolderLock.take(folder.lock(), 0)
                .orElseThrow(() -> new MorException("study folder " + folder.path()
                        + " is in use by another mor ablate (" + FolderLock.holder(folder.lock())
                        + "); wait for its end, or stop it"));
        try (lock) {
            return new StudyRun(folder, plan, options, devices, progress, stopRequested).run();
        }
    }

    private Summary run() {
        created = folder.claim(plan.study().name());
        for (PlannedTrial trial : plan.trials()) {
            folder.trial(trial.id()).writeSpec(spec(trial));
        }
        List<PlannedTrial> left = new ArrayList<>();
        for (PlannedTrial trial : plan.trials()) {
            boolean done = folder.isDone(trial, plan.study().measures());
            states.put(trial.id(), done ? State.DONE : State.PENDING);
            if (done) {
                progress.state(trial, State.DONE, "");
            } else {
                folder.trial(trial.id()).clearFailure();
                left.add(trial);
            }
        }
        writeAll();
        work(left);
        if (databaseTrouble.isPresent()) {
            databaseTrouble = Optional.empty();
            writeAll();
        }
        return new Summary(
                count(State.DONE), count(State.FAILED), stopRequested.getAsBoolean() && count(State.PENDING) > 0);
    }

    private TrialSpec spec(PlannedTrial trial) {
        return StudyFolder.spec(trial, plan.study().measures());
    }

    private synchronized int count(State state) {
        return (int) states.values().stream().filter(each -> each == state).count();
    }

    // ---- work

    private void work(List<PlannedTrial> left) {
        Deque<PlannedTrial> waiting = new ArrayDeque<>(left);
        Set<Thread> threads = new HashSet<>();
        for (int slot = 0; slot < Math.min(options.parallel(), left.size()); slot++) {
            int mine = slot;
            if (options.launcher().isEmpty()) {
                serve(waiting, mine);
            } else {
                threads.add(Thread.ofPlatform().name("mor-study-" + slot).start(() -> serve(waiting, mine)));
            }
        }
        try {
            for (Thread thread : threads) {
                thread.join();
            }
        } catch (InterruptedException e) {
            threads.forEach(Thread::interrupt);
            Thread.currentThread().interrupt();
            throw new MorException("the study was interrupted; the same command goes on with it", e);
        }
    }

    /** Takes one trial after the other. */
    private void serve(Deque<PlannedTrial> waiting, int slot) {
        while (!stopRequested.getAsBoolean()) {
            Optional<PlannedTrial> next = next(waiting);
            if (next.isEmpty()) {
                return;
            }
            PlannedTrial trial = next.get();
            Optional<String> hopeless = trial.parent().map(failures::get);
            if (hopeless.isPresent()) {
                changed(trial, State.FAILED, "its model was not trained: " + hopeless.get());
                continue;
            }
            changed(trial, State.RUNNING, "");
            try {
                boolean done = options.launcher().isPresent() ? runProcess(trial, slot) : runHere(trial);
                changed(trial, done ? State.DONE : State.PENDING, "");
            } catch (MorException e) {
                changed(trial, State.FAILED, e.getMessage());
            } catch (RuntimeException | OutOfMemoryError e) {
                changed(trial, State.FAILED, e.toString());
            }
        }
    }

    /** The next trial that can begin: an evaluation waits for its model; empty when nothing will come any more. */
    private synchronized Optional<PlannedTrial> next(Deque<PlannedTrial> waiting) {
        while (!waiting.isEmpty() && !stopRequested.getAsBoolean()) {
            for (PlannedTrial trial : waiting) {
                State parent = trial.parent().map(states::get).orElse(State.DONE);
                if (parent == State.DONE || parent == State.FAILED) {
                    waiting.remove(trial);
                    return Optional.of(trial);
                }
            }
            try {
                wait(WATCH_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return Optional.empty();
            }
        }
        return Optional.empty();
    }

    private boolean runHere(PlannedTrial trial) {
        return TrialRunner.run(folder.trial(trial.id()).path(), options.program(), follower(trial), stopRequested);
    }

    private boolean runProcess(PlannedTrial trial, int slot) {
        TrialFolder place = folder.trial(trial.id());
        TrialLauncher.Command command =
                options.launcher().orElseThrow().command(place.path(), devices.processorsOf(options.parallel()));
        ProcessBuilder builder =
                new ProcessBuilder(command.line()).redirectError(place.log().toFile());
        builder.environment().putAll(devices.environment(slot));
        builder.environment().putAll(command.environment());
        try {
            Process process = builder.start();
            Thread stopper = Thread.ofVirtual().start(() -> stopWhenAsked(process));
            TrialProgress follower = follower(trial);
            try (var lines = process.inputReader()) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    TrialEvent.of(line).ifPresent(event -> event.tell(follower));
                }
            }
            int code = process.waitFor();
            stopper.interrupt();
            if (place.outcome(spec(trial)).isPresent()) {
                return true;
            }
            if (place.failure().isPresent()) {
                throw new MorException(place.failure().get());
            }
            if (stopRequested.getAsBoolean()) {
                return false;
            }
            throw new MorException("its process ended with code " + code + before(place)
                    + "; the same command goes on from its last checkpoint");
        } catch (IOException e) {
            throw new MorException("its process could not be started or followed: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MorException("interrupted", e);
        }
    }

    /** The last thing that a process said before it ended without a word. */
    private static String before(TrialFolder place) throws IOException {
        List<String> said = Files.readString(place.log(), StandardCharsets.ISO_8859_1)
                .lines()
                .filter(line -> !line.isBlank() && !line.contains("Using incubator modules"))
                .toList();
        return said.isEmpty() ? "" : " (" + said.getLast() + ")";
    }

    /** The end of its input tells a trial to save and stop. */
    private void stopWhenAsked(Process process) {
        try {
            while (process.isAlive()) {
                if (stopRequested.getAsBoolean()) {
                    process.getOutputStream().close();
                    return;
                }
                Thread.sleep(WATCH_MILLIS);
            }
        } catch (InterruptedException | IOException e) {
            return; // it has ended
        }
    }

    private TrialProgress follower(PlannedTrial trial) {
        return new TrialProgress() {
            private long refreshed = System.nanoTime();

            @Override
            public void step(long done, long steps, double loss, double rate, double secondsLeft) {
                synchronized (StudyRun.this) {
                    progress.step(trial, done, steps, loss, rate, secondsLeft);
                }
                if (System.nanoTime() - refreshed > REFRESH_NANOS) {
                    write(trial);
                    refreshed = System.nanoTime();
                }
            }

            @Override
            public void evaluated(long done, double loss) {
                synchronized (StudyRun.this) {
                    progress.evaluated(trial, done, loss);
                }
            }

            @Override
            public void measuring() {
                synchronized (StudyRun.this) {
                    progress.measuring(trial);
                }
            }

            @Override
            public void note(String text) {
                synchronized (StudyRun.this) {
                    if (noted.add(text)) { // what every trial says of this machine is said once
                        progress.note(
                                trial.variant() + ", seed " + trial.config().seed() + ": " + text);
                    }
                }
            }
        };
    }

    private synchronized void changed(PlannedTrial trial, State state, String detail) {
        states.put(trial.id(), state);
        if (state == State.FAILED) {
            failures.put(trial.id(), detail);
        }
        progress.state(trial, state, detail);
        write(trial);
        notifyAll();
    }

    // ---- the database

    private Study about() {
        return new Study(
                plan.study().name(),
                plan.study().text(),
                created,
                Instant.now(),
                options.program().getOrDefault("mor", "unknown"));
    }

    private Trial collect(PlannedTrial trial) {
        return TrialCollector.collect(
                folder.trial(trial.id()),
                spec(trial),
                states.get(trial.id()) == State.RUNNING,
                Optional.ofNullable(failures.get(trial.id())));
    }

    /** Makes the database anew; one that cannot be read is replaced, for it holds nothing of its own. */
    private synchronized void writeAll() {
        StudyResults results = new StudyResults(
                about(), plan.trials().stream().map(this::collect).toList());
        try {
            put(results);
        } catch (UnreadableDatabaseException damaged) {
            progress.note(damaged.getMessage());
            replaceDatabase();
            put(results);
        }
    }

    private void put(StudyResults results) {
        try (StudyDatabase database = StudyDatabase.write(folder.path())) {
            database.put(results);
        }
    }

    private void replaceDatabase() {
        try {
            for (String name : List.of(StudyDatabase.FILE, StudyDatabase.FILE + ".wal")) {
                Path file = folder.path().resolve(name);
                if (Files.exists(file)) {
                    Files.move(file, folder.path().resolve(name + ".damaged"), StandardCopyOption.REPLACE_EXISTING);
                }
            }
        } catch (IOException e) {
            throw new MorException(
                    "the damaged database in " + folder.path() + " cannot be moved away: " + e.getMessage(), e);
        }
    }

    /** Trouble with the database does not stop the study: it is written again at the end. */
    private synchronized void write(PlannedTrial trial) {
        try (StudyDatabase database = StudyDatabase.write(folder.path())) {
            database.put(about(), collect(trial), plan.trials().indexOf(trial));
        } catch (MorException e) {
            if (databaseTrouble.isEmpty()) {
                progress.note(e.getMessage());
            }
            databaseTrouble = Optional.of(e.getMessage());
        }
    }
}
