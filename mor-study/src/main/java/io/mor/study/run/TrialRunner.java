package io.mor.study.run;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.MorException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.data.Batch;
import io.mor.runtime.data.SequentialRows;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.evaluate.TracedToken;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import io.mor.runtime.train.Checkpoint;
import io.mor.runtime.train.StepReport;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.SampleToken;
import io.mor.study.StudyResults.TextSample;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** Does one trial in this process: trains, or goes on training, then measures, and leaves the outcome in the trial's folder. */
public final class TrialRunner {

    private static final long LOCK_PATIENCE_MILLIS = 120_000;
    private static final double TEMPERATURE = 0.8;

    private final TrialFolder folder;
    private final TrialSpec spec;
    private final Map<String, String> program;
    private final TrialProgress progress;

    private TrialRunner(TrialFolder folder, Map<String, String> program, TrialProgress progress) {
        this.folder = folder;
        this.spec = folder.existingSpec();
        this.program = program;
        this.progress = progress;
    }

    /**
     * Does a trial.
     *
     * @param path the trial's folder, as {@link StudyRun} made it
     * @param program facts about the program, for the record: {@code mor}, {@code commit}
     * @param stopRequested asked between steps; then the step is saved and false returned
     * @return whether it is done
     * @throws MorException if it fails; its folder says why, too
     */
    public static boolean run(
            Path path, Map<String, String> program, TrialProgress progress, BooleanSupplier stopRequested) {
        TrialFolder folder = new TrialFolder(path);
        FolderLock lock = FolderLock.take(folder.lock(), LOCK_PATIENCE_MILLIS)
                .orElseThrow(() ->
                        new MorException("trial " + path + " is being run by " + FolderLock.holder(folder.lock())));
        try (lock) {
            try {
                folder.clearFailure();
                return new TrialRunner(folder, program, progress).run(stopRequested);
            } catch (RuntimeException | OutOfMemoryError e) {
                folder.writeFailure(e.getMessage() == null ? e.toString() : e.getMessage());
                throw e;
            }
        }
    }

    private boolean run(BooleanSupplier stopRequested) {
        if (folder.outcome(spec).isPresent()) {
            return true;
        }
        ExperimentConfig config = ExperimentConfig.builder().yaml(spec.config()).build();
        try (Mor mor = Mor.open(config.plugins())) {
            if (spec.kind() == Kind.TRAINING && !train(mor, config, stopRequested)) {
                return false;
            }
            if (stopRequested.getAsBoolean()) {
                return false;
            }
            progress.measuring();
            Path run = spec.kind() == Kind.TRAINING
                    ? folder.path()
                    : folder.sibling(spec.parent().orElseThrow());
            try (TrainedModel model = mor.load(run, saved -> config, progress::note)) {
                folder.writeOutcome(measure(mor, model));
            }
            return true;
        }
    }

    private boolean train(Mor mor, ExperimentConfig config, BooleanSupplier stopRequested) {
        Optional<Checkpoint> last = folder.run().latest(new ArrayList<>());
        if (last.isPresent() && last.get().state().step() == config.training().steps()) {
            return true;
        }
        RunListener listener = new RunListener() {
            @Override
            public void onStep(StepReport report) {
                progress.step(
                        report.step() + 1,
                        report.totalSteps(),
                        report.crossEntropy(),
                        report.tokensPerSecond(),
                        report.secondsLeft());
            }

            @Override
            public void onEvaluation(long step, Map<String, Double> figures) {
                progress.evaluated(step + 1, figures.getOrDefault(StudyResults.CAUSAL_LOSS, Double.NaN));
            }

            @Override
            public void note(String message) {
                progress.note(message);
            }
        };
        try (TrainingRun run = folder.run().exists()
                ? mor.resume(folder.path(), saved -> config, listener)
                : mor.train(config, listener)) {
            return run.run(stopRequested).finished();
        }
    }

    private TrialOutcome measure(Mor mor, TrainedModel model) {
        EvaluationReport report =
                model.evaluate(spec.measures().batches(), model.model().router().needsSelector(), progress::note);
        Map<String, Double> figures = new LinkedHashMap<>(report.figures());
        figures.put(StudyResults.PARAMETERS, (double) spec.plan().parameters());
        List<TextSample> samples = new ArrayList<>();
        try (TrainedModel.ValidationText text = model.validation(progress::note)) {
            decode(model, text.rows(), figures);
            sample(model, text.rows()).ifPresent(samples::add);
        }
        figures.values().removeIf(value -> !Double.isFinite(value));
        return new TrialOutcome(
                spec.measures(), figures, Machine.describe(mor.catalog(), model.backend(), program), samples);
    }

    /** Generates after a piece of validation text: how fast, how deep, with how many keys and values. */
    private void decode(TrainedModel model, SequentialRows text, Map<String, Double> figures) {
        int context = model.model().shape().context();
        int newTokens = Math.min(spec.measures().newTokens(), context / 2);
        if (newTokens == 0) {
            return;
        }
        int[] prompt = Arrays.copyOf(text.rows(0, 1).inputs(), Math.max(1, context / 4));
        GenerationRequest request = GenerationRequest.of(prompt)
                .maxTokens(newTokens)
                .temperature(TEMPERATURE)
                .seed(spec.seed())
                .build();
        try (Generator generator = model.generator(GeneratorOptions.forSequences(1))) {
            GenerationResult result = generator.generate(request);
            for (int round = 1; round < spec.measures().rounds(); round++) {
                result = generator.generate(request);
            }
            figures.put(StudyResults.DECODING_RATE, result.decodingTokensPerSecond());
            figures.put("prefill-tokens-per-second", result.prefillTokensPerSecond());
            figures.put(StudyResults.KV_BYTES_PER_TOKEN, result.kvBytesPerToken());
            figures.put("generation-mean-depth", result.meanDepth());
        }
    }

    private Optional<TextSample> sample(TrainedModel model, SequentialRows text) {
        int length =
                Math.min(spec.measures().sampleTokens(), model.model().shape().context());
        if (length == 0) {
            return Optional.empty();
        }
        Batch row = text.rows(Math.min(1, text.rowCount() - 1), 1);
        Tokenizer tokenizer = model.tokenizer().orElseThrow();
        List<SampleToken> tokens = new ArrayList<>();
        for (TracedToken token : model.trace(Arrays.copyOf(row.inputs(), Math.min(length, row.inputs().length)))) {
            String shown = new String(tokenizer.decode(new int[] {token.id()}), StandardCharsets.UTF_8);
            tokens.add(new SampleToken(shown, token.depth(), token.scores()));
        }
        return Optional.of(new TextSample("validation text", tokens));
    }
}
