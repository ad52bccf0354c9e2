package io.mor.cli;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.experiment.Mor;
import io.mor.study.StudyResults.Kind;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.Planner;
import io.mor.study.plan.StudyFile;
import io.mor.study.plan.StudyPlan;
import io.mor.study.run.StudyFolder;
import io.mor.study.run.StudyRun;
import io.mor.study.run.TrialLauncher;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor ablate}. */
@Command(
        name = "ablate",
        description = {
            "Run a study: many experiments from one file.",
            "Shows the plan, then does what is not done yet. Stopped or killed, it goes on with the same command; a changed study file reruns",
            "only what changed. 'mor results' and 'mor report' show what it found, also while it runs."
        })
final class AblateCommand implements Callable<Integer> {

    private static final double START_SECONDS = 4;

    private final Console console;

    @Parameters(
            arity = "1..*",
            paramLabel = "STUDY",
            description =
                    "YAML file of the study; docs/ablations.md says what is in one. Several are run one after the other.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = "--folder",
            paramLabel = "DIR",
            description = "Where everything is kept. Default: runs/studies/ and the study's name.")
    private Optional<Path> folder;

    @Option(names = "--dry-run", description = "Show the plan and stop.")
    private boolean dryRun;

    @Option(
            names = "--parallel",
            paramLabel = "N",
            defaultValue = "1",
            description =
                    "Trials side by side: on several GPUs one after the other, on processors in equal parts (default: ${DEFAULT-VALUE}).")
    private int parallel;

    @Option(names = "--in-process", description = "Run the trials in this process, not each in its own.")
    private boolean inProcess;

    @Option(names = "--no-calibration", description = "Do not train for some seconds first to estimate the time.")
    private boolean noCalibration;

    @Option(names = "--yes", description = "Also run a study of more than 500 trials.")
    private boolean yes;

    @Mixin
    private ConfigOptions options;

    AblateCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        if (parallel < 1) {
            throw new UsageException("--parallel: " + parallel + " is too few; give at least 1");
        }
        if (inProcess && parallel > 1) {
            throw new UsageException("--in-process: trials in one process run one at a time; leave --parallel out");
        }
        if (folder.isPresent() && files.size() > 1) {
            throw new UsageException("--folder: " + files.size()
                    + " studies cannot have one folder; leave it out, or run them one by one");
        }
        List<StudyFile> studies = new ArrayList<>();
        for (Path file : files) { // what is wrong with the last is told before the first begins
            studies.add(StudyFile.read(file, options::over));
        }
        Optional<StopRequest> stop = dryRun ? Optional.empty() : Optional.of(StopRequest.listen(console));
        int code = ExitCode.SUCCESS;
        for (StudyFile study : studies) {
            int ended = call(study, stop);
            if (ended == ExitCode.INTERRUPTED) {
                return ended;
            }
            code = Math.max(code, ended);
        }
        return code;
    }

    private int call(StudyFile study, Optional<StopRequest> stop) throws IOException {
        StudyFolder place = new StudyFolder(folder.orElse(Path.of("runs", "studies", study.name())));
        place.check(study.name());
        try (Mor mor = ConfigOptions.open(study.config())) {
            StudyPlan plan = plan(mor, study, place);
            print(mor, plan, place);
            return stop.isPresent() ? run(plan, place, stop.get()) : ExitCode.SUCCESS;
        }
    }

    private StudyPlan plan(Mor mor, StudyFile study, StudyFolder place) throws IOException {
        DataListener listener = new DataListener() {
            @Override
            public void warning(String message) {
                console.say(message);
            }
        };
        Planner planner =
                new Planner(mor, place.path(), BundledText.find().orElse(""), place.rates(mor, !dryRun), listener);
        StudyPlan plan = planner.plan(study, yes);
        plan.notes().forEach(console::say);
        return plan;
    }

    private int run(StudyPlan plan, StudyFolder place, StopRequest stop) {
        Map<String, String> facts = ProgramFacts.all();
        Optional<TrialLauncher> launcher = inProcess ? Optional.empty() : Optional.of(new TrialProcesses(facts));
        StudyRun.Summary summary;
        try (StudyTable table = new StudyTable(console, plan)) {
            summary =
                    StudyRun.run(place, plan, new StudyRun.Options(parallel, launcher, facts), table, stop::requested);
        }
        if (summary.stopped()) {
            console.say("stopped with " + summary.done() + " of "
                    + plan.trials().size() + " trials done; the same command goes on");
            return ExitCode.INTERRUPTED;
        }
        StudyTables.ranking(console, place.path());
        console.out().println();
        console.out().println("results: mor results " + place.path());
        console.out().println("report:  mor report " + place.path());
        if (summary.failed() > 0) {
            console.say(summary.failed() + " of " + plan.trials().size()
                    + " trials failed; the same command tries them again. Their folders hold log.txt");
            return ExitCode.FAILURE;
        }
        return ExitCode.SUCCESS;
    }

    // ---- the plan

    private void print(Mor mor, StudyPlan plan, StudyFolder place) {
        OptionalDouble known = place.exists() ? place.knownPace(plan) : OptionalDouble.empty();
        boolean anyLeft = plan.trials().stream()
                .anyMatch(trial -> trial.plan().tokens() > 0
                        && !place.isDone(trial, plan.study().measures()));
        OptionalDouble pace = known.isPresent() || !anyLeft || noCalibration ? known : measured(mor, plan, place);
        Table table = new Table();
        table.row(
                "trial", "variant", "seed", "parameters", "steps", "tokens", "model-flops", "paper-flops", "time", "");
        double seconds = 0;
        int left = 0;
        for (PlannedTrial trial : plan.trials()) {
            boolean done = place.isDone(trial, plan.study().measures());
            double time = START_SECONDS + (pace.isPresent() ? trial.plan().modelFlops() / pace.getAsDouble() : 0);
            if (!done) {
                seconds += time;
                left++;
            }
            boolean trains = trial.kind() == Kind.TRAINING;
            table.row(
                    trial.id(),
                    trial.variant(),
                    Long.toString(trial.config().seed()),
                    number("%,d", trial.plan().parameters()),
                    trains ? number("%,d", trial.plan().steps()) : "-",
                    trains ? number("%,d", trial.plan().tokens()) : "-",
                    trains ? number("%.2e", trial.plan().modelFlops()) : "-",
                    trains ? number("%.2e", trial.plan().paperFlops()) : "-",
                    done || pace.isEmpty() ? "" : ProgressLine.duration(time),
                    done ? "done" : place.hasBegun(trial) ? "goes on" : "");
        }
        console.out()
                .println("study " + plan.study().name() + ": " + plan.trials().size() + " trials in " + place.path());
        if (!plan.study().budget().describe().isEmpty()) {
            console.out().println("equal: " + plan.study().budget().describe());
        }
        table.print(console.out(), "");
        if (left > 0 && pace.isPresent()) {
            console.out()
                    .println(left + " to do, about " + ProgressLine.duration(seconds / parallel) + " at "
                            + number("%.1f", pace.getAsDouble() / 1e9) + " GFLOP/s"
                            + (known.isPresent() ? " (as the finished trials)" : " (measured on one trial)")
                            + (parallel > 1
                                    ? ", " + parallel + " side by side if that makes none of them slower"
                                    : ""));
        }
        console.out().flush();
    }

    /** A trial that cannot be trained tells so when it is its turn. */
    private OptionalDouble measured(Mor mor, StudyPlan plan, StudyFolder place) {
        try {
            return place.measuredPace(mor, plan);
        } catch (MorException e) {
            console.say("no estimate of the time: " + e.getMessage());
            return OptionalDouble.empty();
        }
    }

    private static String number(String format, Object value) {
        return String.format(Locale.ROOT, format, value);
    }
}
