package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.api.data.Tokenizer;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.config.GenerationConfig;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.data.SequentialRows;
import io.mor.runtime.evaluate.Calibration;
import io.mor.runtime.evaluate.Calibrator;
import io.mor.runtime.evaluate.EvaluationBatches;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.evaluate.Evaluator;
import io.mor.runtime.evaluate.TextTrace;
import io.mor.runtime.evaluate.TracedToken;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationService;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.runtime.train.Checkpoint;
import io.mor.runtime.train.TrainingState;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * A trained or imported model, ready for evaluation and generation.
 *
 * <p>Lifetime: owns its weights and its backend, and the services made with {@link #service}; {@link #close} closes them all. Weights and keys and
 * values lie outside the Java heap (or on the GPU); nothing frees them but closing.
 *
 * <p>Thread safety: {@link #service}, {@link #evaluate} and {@link #calibrate} may be called by any thread at any time; they take turns on the
 * device, generation step by step. What works on {@link #model}, {@link #weights} and {@link #backend} directly, as {@link #generator} does, needs
 * the model for itself.
 */
public final class TrainedModel implements AutoCloseable {

    private final List<AutoCloseable> owned = new ArrayList<>();
    private final ExperimentConfig config;
    private final RunFolder folder;
    private final Checkpoint checkpoint;
    private final Parts parts;
    private final Set<GenerationService> services = ConcurrentHashMap.newKeySet();
    private final Lock device =
            new ReentrantLock(true); // fair: between two steps of a generation others get their turn
    private Optional<Tokenizer> tokenizer = Optional.empty();
    private Backend backend;
    private MorModel model;
    private Weights weights;

    private TrainedModel(ExperimentConfig config, RunFolder folder, Checkpoint checkpoint, ExtensionFactory factory) {
        this.config = config;
        this.folder = folder;
        this.checkpoint = checkpoint;
        this.parts = new Parts(factory);
        owned.add(factory);
    }

    static TrainedModel load(
            PluginCatalog catalog, Path path, UnaryOperator<ExperimentConfig> change, Consumer<String> notes) {
        RunFolder folder = RunFolder.existing(path);
        List<String> warnings = new ArrayList<>();
        Checkpoint checkpoint = folder.latest(warnings)
                .orElseThrow(() ->
                        new MorException("run " + path + " has no checkpoint yet. Train it on with --resume " + path));
        warnings.forEach(notes);
        ExperimentConfig saved = ExperimentConfig.load(checkpoint.folder().resolve(Checkpoint.CONFIG));
        ExperimentConfig config = withSinksThatAreHere(LlamaImport.inRun(change.apply(saved), path), catalog)
                .resolve(catalog);
        TrainedModel loaded = new TrainedModel(config, folder, checkpoint, new ExtensionFactory(catalog));
        try {
            loaded.assemble(notes);
            return loaded;
        } catch (RuntimeException | Error e) {
            loaded.close();
            throw e;
        }
    }

    /** A host that does not train need not have what training wrote its figures with. */
    private static ExperimentConfig withSinksThatAreHere(ExperimentConfig config, PluginCatalog catalog) {
        List<ExtensionConfig> here = config.metrics().sinks().stream()
                .filter(sink ->
                        catalog.find(ExtensionKind.METRIC_SINK, sink.type()).isPresent())
                .toList();
        return here.equals(config.metrics().sinks()) ? config : config.with("metrics.sinks", here);
    }

    private void assemble(Consumer<String> notes) {
        if (!config.tokenizer().type().equals("none")) {
            Tokenizer made = parts.tokenizer(config.tokenizer());
            owned.add(made);
            tokenizer = Optional.of(made);
        }
        backend = parts.backend(config.backend(), notes);
        owned.add(backend);
        model = parts.model(config);
        weights = new Weights(backend, model.statefulParts());
        owned.add(weights);
        checkpoint.loadInto(weights);
        SavedCutoffs.readInto(folder, model, weights, notes);
    }

    /** The resolved config. */
    public ExperimentConfig config() {
        return config;
    }

    /** Its run folder. */
    public RunFolder folder() {
        return folder;
    }

    /** Where its training stood. */
    public TrainingState state() {
        return checkpoint.state();
    }

    /** The tokenizer; empty for models that work on ids alone. */
    public Optional<Tokenizer> tokenizer() {
        return tokenizer;
    }

    /** The backend in use. */
    public Backend backend() {
        return backend;
    }

    /** The model. */
    public MorModel model() {
        return model;
    }

    /** Its weights. */
    public Weights weights() {
        return weights;
    }

    /** What generates for many callers at once, as {@link #service(GeneratorOptions)} with room for so many sequences side by side. */
    public GenerationService service(int maxSequences) {
        return service(GeneratorOptions.forSequences(maxSequences));
    }

    /** What generates for many callers at once. It may be closed before the model and is closed with it. */
    public GenerationService service(GeneratorOptions options) {
        return onDevice(() -> {
            AtomicReference<GenerationService> made = new AtomicReference<>();
            made.set(new GenerationService(generator(options), device, () -> services.remove(made.get())));
            services.add(made.get());
            return made.get();
        });
    }

    /**
     * A request to go on from a text, with what the config's {@code generation} section says. What it calls {@code max-tokens} is cut to what
     * fits the context.
     *
     * @throws UsageException if the model has no tokenizer
     */
    public GenerationRequest.Builder request(String prompt) {
        GenerationConfig defaults = config.generation();
        int[] ids = promptIds(prompt);
        int fitting = model.shape().context() - ids.length + 1; // the last new token needs no position
        return GenerationRequest.of(ids)
                .maxTokens(Math.clamp(fitting, 1, defaults.maxTokens()))
                .temperature(defaults.temperature())
                .topK(defaults.topK())
                .topP(defaults.topP())
                .seed(defaults.seed())
                .stopIds(defaults.stopTokens())
                .stopStrings(defaults.stopTexts().toArray(String[]::new));
    }

    /**
     * The ids of a prompt: the text's, after the id that the tokenizer begins a text with, if it has one. An empty prompt becomes the start of a
     * document, or a line end where the tokenizer has no id for that.
     *
     * @throws UsageException if the model has no tokenizer
     */
    public int[] promptIds(String prompt) {
        Tokenizer encoder = tokenizer.orElseThrow(
                () -> new UsageException("this model has no tokenizer, so the prompt must be token ids"));
        int[] start = encoder.beginOfText().stream().toArray();
        if (prompt.isEmpty() && start.length == 0) {
            start = encoder.endOfText().stream().toArray();
        }
        int[] text = encoder.encode(prompt.isEmpty() && start.length == 0 ? "\n" : prompt);
        int[] ids = Arrays.copyOf(start, start.length + text.length);
        System.arraycopy(text, 0, ids, start.length, text.length);
        return ids;
    }

    private <T> T onDevice(Supplier<T> work) {
        device.lock();
        try {
            return work.get();
        } finally {
            device.unlock();
        }
    }

    /** What generates with it for one caller; close it before the model. */
    public Generator generator(GeneratorOptions options) {
        return new Generator(model, weights, tokenizer, options);
    }

    /**
     * Measures it on the validation text of its config.
     *
     * @param batches how many, of the config's training batch each; 0 for the whole text
     * @param besideFullSequence whether to measure full-sequence selection too
     */
    public EvaluationReport evaluate(long batches, boolean besideFullSequence, Consumer<String> notes) {
        device.lock();
        try (ValidationText text = validation(notes);
                Evaluator evaluator = new Evaluator(model, weights, tokenizer.map(TrainingData::bytes))) {
            return evaluator.evaluate(EvaluationBatches.of(text.rows(), batches), besideFullSequence);
        } finally {
            device.unlock();
        }
    }

    /**
     * Sets the selector's cut-offs from validation text and keeps them in the run folder, from where every later load takes them.
     *
     * @param target what to reach
     * @param batches how many to measure on; 0 for the whole text
     */
    public Calibration calibrate(CalibrationTarget target, long batches, Consumer<String> notes) {
        device.lock();
        try (ValidationText text = validation(notes);
                Calibrator calibrator = new Calibrator(model, weights)) {
            Calibration calibration = switch (target) {
                case CalibrationTarget.Capacities capacities ->
                    calibrator.toCapacities(capacities.values(), EvaluationBatches.of(text.rows(), batches));
                case CalibrationTarget.MeanDepth depth ->
                    calibrator.toMeanDepth(depth.value(), EvaluationBatches.of(text.rows(), batches));
            };
            SavedCutoffs.write(folder, calibration);
            return calibration;
        } finally {
            device.unlock();
        }
    }

    /** How it reads a text of at most its context, token by token, with the causal selection of generation. */
    public List<TracedToken> trace(int... ids) {
        return new TextTrace(model, weights).read(ids);
    }

    /** What reads its validation text; close it before the model. */
    public ValidationText validation(Consumer<String> notes) {
        Tokenizer known = tokenizer.orElseThrow(() ->
                new UsageException("run " + folder.path() + " has no tokenizer, so there is no text to measure it on"));
        DataListener listener = new DataListener() {
            @Override
            public void warning(String message) {
                notes.accept(message);
            }
        };
        return new ValidationText(TrainingData.open(config, known, listener));
    }

    /** Validation text of a run, cut into rows. */
    public static final class ValidationText implements AutoCloseable {
        private final TrainingData data;

        private ValidationText(TrainingData data) {
            this.data = data;
        }

        /** Rows of the model's context, in order. */
        public SequentialRows rows() {
            return data.validation();
        }

        @Override
        public void close() {
            data.close();
        }
    }

    @Override
    public void close() {
        List<AutoCloseable> all = new ArrayList<>(owned);
        all.addAll(services); // closed first
        owned.clear();
        Ownership.closeAll(all);
    }
}
