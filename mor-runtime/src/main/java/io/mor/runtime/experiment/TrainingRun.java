package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.api.data.Tokenizer;
import io.mor.api.metric.MetricSink;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.config.TrainingConfig;
import io.mor.runtime.evaluate.EvaluationBatches;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.evaluate.Evaluator;
import io.mor.runtime.model.LayerPlan;
import io.mor.runtime.model.LayerSources;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Uptraining;
import io.mor.runtime.model.Weights;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.runtime.safetensors.SafetensorsReader;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.Checkpoint;
import io.mor.runtime.train.LearningRateSchedule;
import io.mor.runtime.train.StepReport;
import io.mor.runtime.train.Trainer;
import io.mor.runtime.train.TrainingListener;
import io.mor.runtime.train.TrainingMemory;
import io.mor.runtime.train.TrainingOutcome;
import io.mor.runtime.train.TrainingPlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;

/**
 * A training run, ready to go: text tokenised, model built, weights initialised or read from the last checkpoint. Owns all of it. One thread.
 */
public final class TrainingRun implements AutoCloseable {

    private final ExperimentConfig config;
    private final RunFolder folder;
    private final RunListener listener;
    private final List<AutoCloseable> owned = new ArrayList<>();
    private Backend backend;
    private Tokenizer tokenizer;
    private TrainingData data;
    private MorModel model;
    private Weights weights;
    private Trainer trainer;
    private Sinks sinks;
    private Optional<EvaluationReport> lastEvaluation = Optional.empty();

    private TrainingRun(ExperimentConfig config, RunFolder folder, RunListener listener) {
        this.config = config;
        this.folder = folder;
        this.listener = listener;
    }

    /**
     * Prepares a new run.
     *
     * @throws UsageException if the config is wrong, the text is missing or too short, or the run folder holds a run already
     */
    static TrainingRun begin(PluginCatalog catalog, ExperimentConfig given, RunListener listener) {
        ExperimentConfig resolved = given.resolve(catalog);
        return build(catalog, resolved, newFolder(resolved), listener, Optional.empty());
    }

    /**
     * Prepares a run to go on from its last whole checkpoint, or from its beginning if it has none.
     *
     * @param change changes to the config, for example more steps
     */
    static TrainingRun resume(
            PluginCatalog catalog, Path path, UnaryOperator<ExperimentConfig> change, RunListener listener) {
        if (Checkpoint.isOne(path)) {
            return branch(catalog, path, change, listener);
        }
        RunFolder folder = RunFolder.existing(path);
        List<String> warnings = new ArrayList<>();
        Optional<Checkpoint> checkpoint = folder.latest(warnings);
        warnings.forEach(listener::note);
        ExperimentConfig config =
                change.apply(ExperimentConfig.load(folder.config())).resolve(catalog);
        return build(catalog, config, folder, listener, checkpoint);
    }

    /** A new run that goes on from one checkpoint of another, say with a shorter schedule (spec 5.3). */
    private static TrainingRun branch(
            PluginCatalog catalog, Path path, UnaryOperator<ExperimentConfig> change, RunListener listener) {
        Checkpoint checkpoint = Checkpoint.open(path);
        ExperimentConfig config = change.apply(ExperimentConfig.load(path.resolve(Checkpoint.CONFIG)))
                .resolve(catalog);
        return build(catalog, config, newFolder(config), listener, Optional.of(checkpoint));
    }

    private static RunFolder newFolder(ExperimentConfig config) {
        RunFolder folder = new RunFolder(config.runs().resolve(config.name()));
        if (folder.exists()) {
            throw new UsageException("run " + folder.path() + " exists already. Resume it with --resume "
                    + folder.path() + ", give another name (-s name=...), or delete the folder");
        }
        return folder;
    }

    private static TrainingRun build(
            PluginCatalog catalog,
            ExperimentConfig resolved,
            RunFolder folder,
            RunListener listener,
            Optional<Checkpoint> checkpoint) {
        ExtensionFactory factory = new ExtensionFactory(catalog);
        Parts parts = new Parts(factory);
        Tokenizer first =
                parts.tokenizer(LlamaImport.inRun(resolved, folder.path()).tokenizer());
        TrainingData.Prepared prepared = TrainingData.prepare(first, resolved, listener.data());
        ExperimentConfig config =
                Parts.withVocabulary(prepared.config(), prepared.tokenizer()).resolve(catalog);
        TrainingRun run = new TrainingRun(config, folder, listener);
        run.owned.add(factory);
        try {
            run.assemble(parts, prepared.tokenizer(), checkpoint);
            return run;
        } catch (RuntimeException | Error e) {
            run.close();
            throw e;
        }
    }

    private void assemble(Parts parts, Tokenizer preparedTokenizer, Optional<Checkpoint> checkpoint) {
        tokenizer = own(preparedTokenizer);
        data = own(TrainingData.open(config, tokenizer, listener.data()));
        backend = own(parts.backend(config.backend(), listener::note));
        model = parts.model(config);
        model.plan().warning().ifPresent(listener::note);
        weights = own(new Weights(backend, model.statefulParts()));
        TrainingConfig training = config.training();
        training.warning().ifPresent(listener::note);
        LearningRateSchedule schedule = LearningRateSchedule.of(training.schedule(), training.steps());
        TrainingPlan plan = new TrainingPlan(
                training.steps(),
                training.accumulation(),
                step -> training.learningRate() * schedule.factor(step),
                training.log().every(),
                training.evaluation().every(),
                training.checkpoint().every(),
                training.checkpoint().keep() == 0
                        ? Integer.MAX_VALUE
                        : training.checkpoint().keep(),
                training.recomputation(),
                training.checkpoint().keptSteps(training.steps()));
        trainer = own(new Trainer(
                model,
                weights,
                new AdamWSettings(
                        training.beta1(),
                        training.beta2(),
                        training.epsilon(),
                        training.weightDecay(),
                        training.clipNorm()),
                data.training(),
                plan,
                config.seed(),
                folder.checkpoints(),
                config.toYaml(),
                this::evaluate,
                new Recorder()));
        if (checkpoint.isPresent()) {
            trainer.resume(checkpoint.get());
        } else {
            weights.initialize(
                    config.seed(),
                    config.model().shape().initializerRange(),
                    LayerSources.of(
                            model.plan(),
                            config.model().shape().initialization(),
                            config.model().shape().layers(),
                            config.seed()));
            config.model().startFrom().ifPresent(this::startFrom);
        }
        folder.create(config.toYaml());
        sinks = own(new Sinks(
                makeSinks(parts),
                new MetricSink.Run(
                        config.name(),
                        folder.path(),
                        config.flat(),
                        trainer.state().step()),
                listener));
    }

    /** Uptraining (spec 1.4). */
    private void startFrom(Path path) {
        List<String> notes = new ArrayList<>();
        Checkpoint checkpoint = Checkpoint.isOne(path)
                ? Checkpoint.open(path)
                : RunFolder.existing(path)
                        .latest(notes)
                        .orElseThrow(
                                () -> new UsageException("model.start-from: run " + path + " has no checkpoint yet"));
        notes.forEach(listener::note);
        LayerPlan layers =
                LayerPlan.of(ExperimentConfig.load(checkpoint.folder().resolve(Checkpoint.CONFIG))
                        .model()
                        .shape());
        List<String> fresh;
        try (SafetensorsReader file = checkpoint.weights()) {
            fresh = Uptraining.start(
                    model,
                    weights,
                    layers,
                    config.model().shape().initialization(),
                    config.seed(),
                    name -> file.has(name) ? Optional.of(file.doubles(name)) : Optional.empty());
        }
        listener.note("starts from " + checkpoint.folder() + ", " + ExperimentConfig.spell(layers.sharing()) + " of "
                + layers.layers() + " layers"
                + (fresh.isEmpty() ? "" : "; fresh are " + String.join(", ", fresh)));
    }

    private Map<String, MetricSink> makeSinks(Parts parts) {
        Map<String, MetricSink> made = new LinkedHashMap<>();
        for (ExtensionConfig sink : config.metrics().sinks()) {
            made.put(
                    sink.type(),
                    parts.factory().create(ExtensionKind.METRIC_SINK, sink.type(), sink.options(), Map.of()));
        }
        return made;
    }

    private <T extends AutoCloseable> T own(T resource) {
        owned.add(resource);
        return resource;
    }

    /** Passes reports to the sinks and to whoever follows the run. */
    private final class Recorder implements TrainingListener {
        @Override
        public void onStep(StepReport report) {
            sinks.record(report.step(), report.figures());
            listener.onStep(report);
        }

        @Override
        public void onEvaluation(long step, Map<String, Double> figures) {
            sinks.record(step, figures);
            listener.onEvaluation(step, figures);
        }

        @Override
        public void onCheckpoint(long step, Path path) {
            listener.onCheckpoint(step, path);
        }
    }

    private Map<String, Double> evaluate() {
        if (!data.hasValidation()) {
            return Map.of();
        }
        try (Evaluator evaluator = new Evaluator(model, weights, Optional.of(TrainingData.bytes(tokenizer)))) {
            EvaluationReport report = evaluator.evaluate(
                    EvaluationBatches.of(
                            data.validation(), config.training().evaluation().batches()),
                    model.router().needsSelector());
            lastEvaluation = Optional.of(report);
            return report.figures();
        }
    }

    /** The resolved config. */
    public ExperimentConfig config() {
        return config;
    }

    /** Where everything is saved. */
    public RunFolder folder() {
        return folder;
    }

    /** The model. */
    public MorModel model() {
        return model;
    }

    /** Its weights. */
    public Weights weights() {
        return weights;
    }

    /** The tokenizer, with its vocabulary. */
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /** The backend in use. */
    public Backend backend() {
        return backend;
    }

    /** Steps done so far. */
    public long step() {
        return trainer.state().step();
    }

    /** Tokens of the training text. */
    public long trainingTokens() {
        return data.trainingTokens().size();
    }

    /** The last evaluation of this process. */
    public Optional<EvaluationReport> lastEvaluation() {
        return lastEvaluation;
    }

    /** What the step to come will hold in the backend's memory; known without running it. */
    public TrainingMemory memory() {
        return trainer.memory();
    }

    /** One sentence about settings that would fit, if the step to come will not fit into the device's memory. */
    public Optional<String> memoryShortage() {
        return trainer.shortage();
    }

    /** Bytes of activations that training holds. */
    public long activationBytes() {
        return trainer.activationBytes();
    }

    /**
     * Trains to the end, or until asked to stop; then the step under way is finished and saved, and {@link TrainingOutcome#finished} is false.
     *
     * @throws MorException if training or saving fails; the last checkpoint is whole
     */
    public TrainingOutcome run(BooleanSupplier stopRequested) {
        return trainer.run(stopRequested);
    }

    @Override
    public void close() {
        Ownership.closeAll(owned);
    }
}
