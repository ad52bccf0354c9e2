package io.mor.study.run;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunFolder;
import io.mor.study.plan.Measures;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.StudyPlan;
import io.mor.study.plan.TrainingRates;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The folder of a study: {@code study.json} (whose it is), {@code study.duckdb} (the results), {@code trials/} (a folder for each trial), {@code
 * lock}.
 *
 * @param path the folder
 */
public record StudyFolder(Path path) {

    private static final String ABOUT = "study.json";
    private static final String RATES = "rates.json";

    /**
     * Whose a folder is.
     *
     * @param study the study's name
     * @param createdMillis when it was first run
     */
    public record About(String study, long createdMillis) {}

    /**
     * Rates measured for budgets of seconds: kept, so that a study that goes on has the steps it began with.
     *
     * @param tokensPerSecond by config
     */
    public record Rates(Map<String, Double> tokensPerSecond) {}

    /**
     * Checks that the folder is this study's or nobody's.
     *
     * @throws UsageException if it is another study's, or holds other things
     */
    public void check(String study) {
        Optional<About> about = about();
        if (about.isPresent() && !about.get().study().equals(study)) {
            throw new UsageException(path + " is the folder of study '"
                    + about.get().study() + "', not of '" + study + "'; give another with --folder");
        }
        if (about.isEmpty() && new RunFolder(path).exists()) {
            throw new UsageException(path + " is the folder of a run, not of a study; give another with --folder");
        }
    }

    private Optional<About> about() {
        return JsonFiles.read(path.resolve(ABOUT), About.class);
    }

    /** When it was first run; makes it the study's folder if it is nobody's. */
    Instant claim(String study) {
        check(study);
        About about = about().orElseGet(() -> new About(study, Instant.now().toEpochMilli()));
        if (about().isEmpty()) {
            JsonFiles.write(path.resolve(ABOUT), about);
        }
        return Instant.ofEpochMilli(about.createdMillis());
    }

    Path lock() {
        return path.resolve("lock");
    }

    TrialFolder trial(String id) {
        return new TrialFolder(path.resolve("trials").resolve(id));
    }

    /** What a trial of a plan is to do. */
    static TrialSpec spec(PlannedTrial trial, Measures measures) {
        return new TrialSpec(
                trial.id(),
                trial.kind(),
                trial.parent(),
                trial.variant(),
                trial.axes(),
                trial.config().seed(),
                trial.config().toYaml(),
                trial.plan(),
                measures);
    }

    /** Whether a trial is done. */
    public boolean isDone(PlannedTrial trial, Measures measures) {
        return trial(trial.id()).outcome(spec(trial, measures)).isPresent();
    }

    /** Whether a trial has begun. */
    public boolean hasBegun(PlannedTrial trial) {
        return trial(trial.id()).run().exists();
    }

    /**
     * Rates for a budget of seconds, measured once.
     *
     * @param keep whether to keep them; a dry run leaves no trace
     */
    public TrainingRates rates(Mor mor, boolean keep) {
        return config -> {
            Map<String, Double> known = new LinkedHashMap<>(JsonFiles.read(path.resolve(RATES), Rates.class)
                    .map(Rates::tokensPerSecond)
                    .orElse(Map.of()));
            ExperimentConfig general =
                    config.with("name", "rate").with("seed", 0).with("runs", "runs");
            String key = Integer.toHexString(general.toYaml().hashCode());
            Double rate = known.get(key);
            if (rate == null) {
                rate = RateMeter.tokensPerSecond(mor, config);
                known.put(key, rate);
                if (keep) {
                    JsonFiles.write(path.resolve(RATES), new Rates(known));
                }
            }
            return rate;
        };
    }

    /** Model-flops per second that the finished trainings of a plan had; empty if none is finished. */
    public OptionalDouble knownPace(StudyPlan plan) {
        double seconds = 0;
        double flops = 0;
        for (PlannedTrial trial : plan.trials()) {
            Optional<double[]> pace = TrialCollector.pace(
                    trial(trial.id()), spec(trial, plan.study().measures()));
            seconds += pace.map(known -> known[0]).orElse(0.0);
            flops += pace.map(known -> known[1]).orElse(0.0);
        }
        return seconds > 0 ? OptionalDouble.of(flops / seconds) : OptionalDouble.empty();
    }

    /** Model-flops per second of training, measured now on one trial of a plan; empty if there is none to train. */
    public OptionalDouble measuredPace(Mor mor, StudyPlan plan) {
        Optional<PlannedTrial> first = plan.trials().stream()
                .filter(trial -> trial.plan().tokens() > 0)
                .findFirst();
        if (first.isEmpty()) {
            return OptionalDouble.empty();
        }
        double rate = RateMeter.tokensPerSecond(mor, first.get().config());
        return OptionalDouble.of(
                rate * first.get().plan().modelFlops() / first.get().plan().tokens());
    }

    /** Whether there is anything yet. */
    public boolean exists() {
        return Files.isDirectory(path);
    }
}
