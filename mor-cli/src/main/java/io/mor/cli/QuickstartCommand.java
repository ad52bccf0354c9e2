package io.mor.cli;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.flops.LayerVisits;
import io.mor.runtime.flops.ModelFlops;
import io.mor.runtime.flops.ParameterCount;
import io.mor.runtime.generate.GeneratedToken;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.train.TrainingOutcome;
import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code mor quickstart}: the main job, small. */
@Command(
        name = "quickstart",
        description = {
            "Train a vanilla and a Mixture-of-Recursions model on real text, compare them, and generate.",
            "Both have the same width and see the same number of tokens; a few minutes on two cores."
        })
final class QuickstartCommand implements Callable<Integer> {

    private static final int RECURSIONS = 3;
    /** Rounds of generation, and how many of them the shown rate is the median of. */
    private static final int ROUNDS = 10;

    private static final int MEASURED_ROUNDS = 7;
    private static final String PROMPT = "  /** Returns the ";

    private final Console console;

    @Mixin
    private PluginOptions plugins;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "180",
            description = "Optimizer steps of each model (default: ${DEFAULT-VALUE}).")
    private int steps;

    @Option(
            names = "--runs",
            paramLabel = "DIR",
            defaultValue = "runs",
            description = "Where the run folders are made (default: ${DEFAULT-VALUE}).")
    private Path runs;

    @Option(
            names = "--seed",
            paramLabel = "S",
            defaultValue = "1",
            description = "Seed of both models (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--text",
            paramLabel = "PATH",
            description = "Train on this file, folder or archive pattern instead of the Java sources that come with the"
                    + " build.")
    private Optional<String> text;

    QuickstartCommand(Console console) {
        this.console = console;
    }

    /** What training and evaluation say of one model. */
    private record Result(
            String name,
            Path folder,
            long parameters,
            double trainingFlops,
            TrainingOutcome outcome,
            EvaluationReport report) {}

    /** What it generated, and the median of its rates. */
    private record Generated(GenerationResult result, List<GeneratedToken> tokens, double tokensPerSecond) {}

    @Override
    public Integer call() throws IOException {
        if (steps < 1) {
            throw new UsageException("--steps: " + steps + " is too few; give at least 1");
        }
        String corpus = text.isPresent() ? text.get() : bundledText();
        String prefix = "quickstart-" + LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss"));
        console.say("text: " + corpus);
        try (StopRequest stop = StopRequest.listen(console);
                Mor mor = Mor.open(plugins.folders())) {
            Optional<Result> vanilla =
                    run(mor, config(prefix + "-vanilla", corpus).with("model.sharing", "none"), "vanilla", stop);
            if (vanilla.isEmpty()) {
                return ExitCode.INTERRUPTED;
            }
            Optional<Result> routed = run(
                    mor,
                    config(prefix + "-mor-3", corpus)
                            .with("model.sharing", "middle-cycle")
                            .with("model.recursions", RECURSIONS)
                            .with("router.type", "expert-choice"),
                    "MoR-3",
                    stop);
            if (routed.isEmpty()) {
                return ExitCode.INTERRUPTED;
            }
            List<Result> results = List.of(vanilla.get(), routed.get());
            print(results, generate(mor, results));
        }
        return ExitCode.SUCCESS;
    }

    private ConfigBuilder config(String name, String corpus) {
        return ExperimentConfig.builder()
                .with("name", name)
                .with("seed", seed)
                .with("runs", runs.toString())
                .with("model.hidden", 128)
                .with("model.layers", 8)
                .with("model.heads", 4)
                .with("model.kv-heads", 2)
                .with("model.ffn", 352)
                .with("model.context", 128)
                .with("backend.type", "cpu")
                .with("data.paths", List.of(corpus))
                .with("data.shards", runs.resolve("shards").toString())
                .with("data.validation-fraction", 0.02)
                .with("training.steps", steps)
                .with("training.batch", 16)
                .with("training.learning-rate", 0.002)
                .with("training.schedule.warmup-steps", Math.max(1, steps / 10))
                .with("training.evaluation.every", 0)
                .with("training.evaluation.batches", 16)
                .with("training.checkpoint.every", 0)
                .with("training.log.every", 5);
    }

    private static String bundledText() throws IOException {
        return BundledText.find()
                .orElseThrow(() -> new UsageException(
                        "there is no text to train on in " + BundledText.places() + "; give some with --text PATH"));
    }

    /** A model, trained and measured; empty if it was stopped before its end. */
    private Optional<Result> run(Mor mor, ConfigBuilder config, String name, StopRequest stop) {
        try (TrainingProgress progress = new TrainingProgress(console, name);
                TrainingRun run = mor.train(config.build(), progress)) {
            TrainingOutcome outcome = run.run(stop::requested);
            progress.endLine();
            if (!outcome.finished()) {
                StopRequest.say(console, run, outcome);
                return Optional.empty();
            }
            EvaluationReport report = run.lastEvaluation()
                    .orElseThrow(() -> new UsageException(
                            "data: the text is too short to keep a part of it for validation; give more"));
            MorModel model = run.model();
            double flops = ModelFlops.of(
                                    model.config(),
                                    LayerVisits.of(
                                            model.config(),
                                            model.cache(),
                                            model.isRouted() ? Optional.of(model.router()) : Optional.empty()),
                                    model.config().context(),
                                    model.config().vocabulary())
                            .training()
                    * outcome.state().tokens();
            long parameters = ParameterCount.of(model.config(), model.config().vocabulary())
                    .unique();
            return Optional.of(new Result(name, run.folder().path(), parameters, flops, outcome, report));
        }
    }

    /** Each model in turn, several times, so that both are compiled alike when rates are taken, and no single round decides. */
    private List<Generated> generate(Mor mor, List<Result> results) {
        List<Generated> last = new ArrayList<>();
        double[][] rates = new double[results.size()][MEASURED_ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            last.clear();
            for (int model = 0; model < results.size(); model++) {
                List<GeneratedToken> tokens = new ArrayList<>();
                try (TrainedModel trained = mor.load(results.get(model).folder(), same -> same, note -> {});
                        Generator generator = trained.generator(GeneratorOptions.forSequences(1))) {
                    int[] prompt = trained.tokenizer().orElseThrow().encode(PROMPT);
                    GenerationResult result = generator
                            .generate(List.of(request(prompt)), tokens::add)
                            .getFirst();
                    rates[model][round % MEASURED_ROUNDS] = result.decodingTokensPerSecond();
                    last.add(new Generated(result, tokens, median(rates[model])));
                }
            }
        }
        return last;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private GenerationRequest request(int... prompt) {
        return GenerationRequest.of(prompt)
                .maxTokens(100)
                .temperature(0.6)
                .seed(seed)
                .build();
    }

    private void print(List<Result> results, List<Generated> generated) {
        console.out().println();
        Table table = new Table();
        table.row("", results.get(0).name(), results.get(1).name(), "");
        row(table, "unique parameters", results, result -> String.format(Locale.ROOT, "%,d", result.parameters()));
        row(
                table,
                "model-flops of training",
                results,
                result -> String.format(Locale.ROOT, "%.2e", result.trainingFlops()));
        row(
                table,
                "validation loss, nats/token",
                results,
                result -> number("%.4f", result.report().causal().loss()));
        row(
                table,
                "  bits/byte",
                results,
                result -> number("%.4f", result.report().causal().bitsPerByte().orElse(Double.NaN)));
        row(
                table,
                "  full-sequence selection (not causal)",
                results,
                result -> result.report()
                        .fullSequence()
                        .map(figures -> number("%.4f", figures.loss()))
                        .orElse("-"));
        row(
                table,
                "training tokens/s",
                results,
                result -> number("%,.0f", result.outcome().tokensPerSecond()));
        row(table, "decoding tokens/s", generated, each -> number("%,.0f", each.tokensPerSecond()));
        row(
                table,
                "KV bytes per token",
                generated,
                each -> number("%,.0f", each.result().kvBytesPerToken()));
        row(
                table,
                "mean depth, of (Nr+1)/2",
                results,
                result -> result.report().causal().recursions() > 1
                        ? number("%.2f", result.report().causal().meanDepth())
                                + number(" of %.1f", (RECURSIONS + 1) / 2.0)
                        : "-");
        row(
                table,
                "seconds of training",
                results,
                result -> number("%.0f", result.outcome().trainingSeconds()));
        table.print(console.out(), "");
        console.out().println();
        Result mor = results.get(1);
        DepthColours colours = new DepthColours(RECURSIONS);
        console.out()
                .println("MoR-3 goes on from \"" + PROMPT.strip() + "\""
                        + (console.colour()
                                ? ", each token in the colour of its depth (" + colours.legend() + "):"
                                : ":"));
        console.out().println(DepthText.of(console, PROMPT, generated.get(1).tokens(), colours));
        console.out().println();
        for (Result result : results) {
            console.out().println(result.name() + ": " + result.folder());
        }
        console.out()
                .println("go on with:  ./mor generate " + mor.folder()
                        + " --prompt \"public static \" --max-tokens 200");
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    private static <T> void row(Table table, String name, List<T> results, Function<T, String> cell) {
        table.row(name, cell.apply(results.get(0)), cell.apply(results.get(1)), "");
    }
}
