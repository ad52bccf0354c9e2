package io.mor.cli;

import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunFolder;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.TrainingMemory;
import io.mor.runtime.train.TrainingOutcome;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code mor train}. */
@Command(
        name = "train",
        description = {
            "Train a model, or go on with a run that was stopped.",
            "Ctrl-C finishes the step under way, saves, and says how to resume. A resumed run gives the same bytes as"
                    + " one that was not stopped."
        })
final class TrainCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(
            arity = "0..1",
            paramLabel = "CONFIG",
            description = "YAML file of the experiment. Default: an empty config; give data.paths with -s.")
    private Optional<Path> file;

    @Option(
            names = "--resume",
            paramLabel = "RUN",
            description = "Go on with the run in this folder, from its last checkpoint.")
    private Optional<Path> resumed;

    @Mixin
    private ConfigOptions options;

    @Spec
    private CommandSpec spec;

    TrainCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        if (file.isPresent() && resumed.isPresent()) {
            throw new ParameterException(
                    spec.commandLine(),
                    "give a config or --resume, not both; a resumed run has its own config, which -s can change");
        }
        try (StopRequest stop = StopRequest.listen(console)) {
            return resumed.isPresent() ? resume(resumed.get(), stop) : begin(stop);
        }
    }

    private int resume(Path path, StopRequest stop) {
        ExperimentConfig saved = ExperimentConfig.load(RunFolder.existing(path).config());
        try (Mor mor = options.open(saved);
                TrainingProgress progress = new TrainingProgress(console, saved.name());
                TrainingRun run = mor.resume(path, options.changes(), progress)) {
            return train(run, progress, stop);
        }
    }

    private int begin(StopRequest stop) {
        ConfigBuilder builder = options.builder(file);
        try (Mor mor = ConfigOptions.open(builder)) {
            ExperimentConfig config = builder.build(mor.catalog()); // here, where the places of all keys are known
            try (TrainingProgress progress = new TrainingProgress(console, config.name());
                    TrainingRun run = mor.train(config, progress)) {
                return train(run, progress, stop);
            }
        }
    }

    private int train(TrainingRun run, TrainingProgress progress, StopRequest stop) {
        int steps = run.config().training().steps();
        if (run.step() == steps) {
            console.say("run " + run.folder().path() + " has done all of its " + steps
                    + " steps; for more of them say -s training.steps=" + 2 * steps);
            return ExitCode.SUCCESS;
        }
        console.say(String.format(
                Locale.ROOT,
                "training %s on %s: %,d tokens of text, step %d of %d",
                run.config().name(),
                run.backend().description(),
                run.trainingTokens(),
                run.step(),
                steps));
        console.say(memory(run.memory()));
        run.memoryShortage().ifPresent(text -> console.say("memory: " + text));
        TrainingOutcome outcome = run.run(stop::requested);
        progress.endLine();
        Path folder = run.folder().path();
        if (!outcome.finished()) {
            StopRequest.say(console, run, outcome);
            return ExitCode.INTERRUPTED;
        }
        Table table = new Table();
        table.row("steps", Long.toString(outcome.state().step()));
        table.row("tokens", String.format(Locale.ROOT, "%,d", outcome.state().tokens()));
        table.row("tokens/s", String.format(Locale.ROOT, "%,.0f", outcome.tokensPerSecond()));
        progress.headlines()
                .forEach((figure, value) ->
                        table.row("validation " + figure, String.format(Locale.ROOT, "%.4f", value)));
        table.row("run", folder.toString());
        table.print(console.out(), "");
        return ExitCode.SUCCESS;
    }

    /** What training will hold, before it starts. */
    private static String memory(TrainingMemory memory) {
        return String.format(
                Locale.ROOT,
                "memory: %s = weights %s + gradients %s + optimizer %s + activations %s (%s without reuse)%s",
                megabytes(memory.total()),
                megabytes(memory.weights()),
                megabytes(memory.gradients()),
                megabytes(memory.optimizer()),
                megabytes(memory.activations()),
                megabytes(memory.activationsWithoutReuse()),
                memory.backend() == 0 ? "" : " + the backend's own " + megabytes(memory.backend()));
    }

    private static String megabytes(long bytes) {
        return String.format(Locale.ROOT, "%,.1f MB", bytes / 1e6);
    }
}
