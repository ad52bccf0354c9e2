package io.mor.study.plan;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.experiment.ExperimentCost;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.PreparedExperiment;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Makes trials of a study file: combines axes, checks every config, applies the budget, computes costs. */
public final class Planner {

    /** Trials from which on a study must be asked for twice. */
    public static final int MANY_TRIALS = 500;

    private static final List<String> EVALUATION_KEYS =
            List.of("selector", "kv-cache", "backend", "generation", "data.validation-paths");

    private final Mor mor;
    private final Path folder;
    private final String bundledText;
    private final TrainingRates rates;
    private final DataListener listener;
    private final Map<String, PreparedExperiment> prepared = new HashMap<>();
    private final Map<String, Double> measured = new HashMap<>();

    /**
     * A planner.
     *
     * @param folder the study's folder, in which the trials have theirs
     * @param bundledText what {@code ${bundled-text}} in a config's data paths stands for; empty if there is none
     * @param rates asked where a budget holds seconds equal
     * @param listener hears about tokenising
     */
    public Planner(Mor mor, Path folder, String bundledText, TrainingRates rates, DataListener listener) {
        this.mor = mor;
        this.folder = folder;
        this.bundledText = bundledText;
        this.rates = rates;
        this.listener = listener;
    }

    /**
     * The trials of a study.
     *
     * @param many whether more than {@link #MANY_TRIALS} are wanted
     * @throws UsageException naming what is wrong
     */
    public StudyPlan plan(StudyFile study, boolean many) {
        if (study.size() > MANY_TRIALS && !many) {
            throw new UsageException(String.format(
                    Locale.ROOT,
                    "study %s has %,.0f trials, more than %d; say --yes if that is meant, or take fewer values",
                    study.name(),
                    study.size(),
                    MANY_TRIALS));
        }
        List<Choice> trainings = study.trainings();
        if (trainings.isEmpty()) {
            throw new UsageException(
                    "study " + study.name() + " has no trials: skip leaves out every point of its axes");
        }
        List<String> names = distinctNames(trainings);
        Map<String, PlannedTrial> trials = new LinkedHashMap<>();
        List<String> notes = new ArrayList<>();
        List<ExperimentConfig> variants = new ArrayList<>();
        for (int i = 0; i < trainings.size(); i++) { // all configs are checked before the first text is read
            variants.add(config(study.config(), trainings.get(i), names.get(i)));
        }
        for (int i = 0; i < trainings.size(); i++) {
            ExperimentConfig ready = budgeted(study.budget(), prepare(variants.get(i)), names.get(i));
            ExperimentCost cost = mor.cost(ready);
            List<Long> seeds = study.seeds().isEmpty() ? List.of(ready.seed()) : study.seeds();
            for (long seed : seeds) {
                ExperimentConfig seeded = ready.with("seed", seed).resolve(mor.catalog());
                PlannedTrial trial = training(seeded, cost, trainings.get(i), names.get(i));
                PlannedTrial same = trials.putIfAbsent(trial.id(), trial);
                if (same != null) {
                    notes.add("'" + names.get(i) + "' is the same experiment as '" + same.variant()
                            + "'; it is run once");
                    continue;
                }
                for (Choice choice : study.evaluations()) {
                    PlannedTrial evaluation = evaluation(trial, choice);
                    trials.putIfAbsent(evaluation.id(), evaluation);
                }
            }
        }
        return new StudyPlan(study, List.copyOf(trials.values()), notes);
    }

    /** Labels; where two points have the same, those with all their keys. */
    private static List<String> distinctNames(List<Choice> choices) {
        List<String> names = choices.stream().map(Planner::name).toList();
        Set<String> seen = new LinkedHashSet<>();
        Set<String> repeated = new LinkedHashSet<>();
        names.forEach(name -> {
            if (!seen.add(name)) {
                repeated.add(name);
            }
        });
        List<String> distinct = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            distinct.add(repeated.contains(names.get(i)) ? full(choices.get(i)) : names.get(i));
        }
        return distinct;
    }

    private static String name(Choice choice) {
        return choice.label().isEmpty() ? "base" : choice.label();
    }

    private static String full(Choice choice) {
        StringBuilder text = new StringBuilder();
        choice.axes()
                .forEach((key, value) -> text.append(text.isEmpty() ? "" : " ")
                        .append(key)
                        .append('=')
                        .append(value));
        return text.toString();
    }

    private ExperimentConfig config(ConfigBuilder base, Choice choice, String name) {
        try {
            ExperimentConfig config = StudyFile.set(base, choice.assignments()).build();
            List<String> paths =
                    config.data().paths().stream().map(path -> bundled(path)).toList();
            // Built from the study's own tree first, so that a message names the line in the study file.
            return StudyFile.set(base, choice.assignments())
                    .with("data.paths", paths)
                    .build(mor.catalog());
        } catch (UsageException e) {
            throw new UsageException(
                    name.equals("base") ? e.getMessage() : "variant '" + name + "': " + e.getMessage(), e);
        }
    }

    private String bundled(String path) {
        if (!path.contains(StudyFile.BUNDLED_TEXT)) {
            return path;
        }
        if (bundledText.isEmpty()) {
            throw new UsageException("data.paths: there is no text for " + StudyFile.BUNDLED_TEXT
                    + " here; give some with -s 'data.paths=[file.txt]'");
        }
        return path.replace(StudyFile.BUNDLED_TEXT, bundledText);
    }

    /** With vocabulary and text; each text is read once, however many trials use it. */
    private ExperimentConfig prepare(ExperimentConfig config) {
        Map<String, String> relevant = new TreeMap<>(config.flat());
        relevant.keySet()
                .removeIf(key ->
                        !key.startsWith("data.") && !key.startsWith("tokenizer.") && !key.equals("model.vocabulary"));
        PreparedExperiment ready = prepared.computeIfAbsent(relevant.toString(), key -> mor.prepare(config, listener));
        if (!ready.hasValidation()) {
            throw new UsageException(
                    "data: there is too little validation text to rank trials by their loss on it; give a larger "
                            + "data.validation-fraction, data.validation-paths, or a shorter model.context");
        }
        return config.with("tokenizer", ready.config().tokenizer())
                .with("model.vocabulary", ready.config().model().shape().vocabulary())
                .resolve(mor.catalog());
    }

    // ---- budgets

    private ExperimentConfig budgeted(Budget budget, ExperimentConfig config, String name) {
        ExperimentConfig sized =
                budget.parameters().isPresent() ? sized(budget.parameters().get(), config, name) : config;
        ExperimentCost cost = mor.cost(sized);
        double perStep = cost.tokensPerStep();
        Optional<Double> steps = Optional.empty();
        if (budget.steps().isPresent()) {
            steps = Optional.of((double) budget.steps().getAsLong());
        } else if (budget.tokens().isPresent()) {
            steps = Optional.of(budget.tokens().getAsDouble() / perStep);
        } else if (budget.modelFlops().isPresent()) {
            steps = Optional.of(budget.modelFlops().getAsDouble() / (cost.modelFlopsPerToken() * perStep));
        } else if (budget.paperFlops().isPresent()) {
            steps = Optional.of(budget.paperFlops().getAsDouble() / (cost.paperFlopsPerToken() * perStep));
        } else if (budget.seconds().isPresent()) {
            double rate = measured.computeIfAbsent(sized.toYaml(), key -> rates.tokensPerSecond(sized));
            steps = Optional.of(budget.seconds().getAsDouble() * rate / perStep);
        }
        if (steps.isEmpty()) {
            return sized;
        }
        long rounded = Math.max(1, Math.round(steps.get()));
        if (rounded > Integer.MAX_VALUE) {
            throw new UsageException("variant '" + name + "': the budget asks for " + rounded
                    + " steps, more than can be counted; make it smaller");
        }
        return sized.with("training.steps", rounded).resolve(mor.catalog());
    }

    /** With the size that comes nearest to the wanted number of parameters, which grows with it. */
    private ExperimentConfig sized(Budget.Parameters wanted, ExperimentConfig config, String name) {
        long low = 1;
        long high = 2;
        while (parameters(wanted, config, high) < wanted.count()) {
            low = high;
            high *= 2;
            if (high > 1 << 20) {
                throw new UsageException("variant '" + name + "': no " + wanted.by() + " gives " + wanted.count()
                        + " unique parameters");
            }
        }
        while (high - low > 1) {
            long middle = (low + high) / 2;
            if (parameters(wanted, config, middle) < wanted.count()) {
                low = middle;
            } else {
                high = middle;
            }
        }
        long above = parameters(wanted, config, high) - wanted.count();
        long below = wanted.count() - parameters(wanted, config, low);
        return resized(wanted, config, below >= 0 && below < above ? low : high);
    }

    private long parameters(Budget.Parameters wanted, ExperimentConfig config, long times) {
        return mor.cost(resized(wanted, config, times)).parameters();
    }

    private ExperimentConfig resized(Budget.Parameters wanted, ExperimentConfig config, long times) {
        try {
            return config.with(wanted.by(), times * wanted.multiple());
        } catch (UsageException e) {
            throw new UsageException(
                    "budget.parameters: " + wanted.by() + " = " + times * wanted.multiple() + ": " + e.getMessage()
                            + "; choose another key with 'by', or another 'multiple'",
                    e);
        }
    }

    // ---- trials

    private PlannedTrial training(ExperimentConfig config, ExperimentCost cost, Choice choice, String variant) {
        String id = TrialIdentity.of(config, "training", bundledText);
        long tokens = config.training().steps() * cost.tokensPerStep();
        Plan plan = new Plan(
                cost.parameters(),
                config.training().steps(),
                tokens,
                tokens * cost.modelFlopsPerToken(),
                tokens * cost.paperFlopsPerToken(),
                cost.kvBytesPerToken());
        ExperimentConfig placed = withMetricsFile(config)
                .with("name", id)
                .with("runs", folder.resolve("trials").toString())
                .resolve(mor.catalog());
        return new PlannedTrial(id, Kind.TRAINING, Optional.empty(), variant, choice.axes(), placed, plan);
    }

    /** What is collected of a training is read from its file of metrics, whatever else the config asks for. */
    private static ExperimentConfig withMetricsFile(ExperimentConfig config) {
        List<ExtensionConfig> sinks = config.metrics().sinks();
        ExtensionConfig file = new ExtensionConfig("jsonl", Map.of("file", "metrics.jsonl"));
        if (sinks.contains(file)) {
            return config;
        }
        List<ExtensionConfig> all = new ArrayList<>(List.of(file));
        all.addAll(sinks);
        return config.with("metrics.sinks", all);
    }

    private PlannedTrial evaluation(PlannedTrial trained, Choice choice) {
        for (Assignment single : Assignment.singleKeys(choice.assignments())) {
            if (EVALUATION_KEYS.stream()
                    .noneMatch(key -> single.key().equals(key) || single.key().startsWith(key + "."))) {
                throw new UsageException(single.value().origin().prefix() + "evaluate: " + single.key()
                        + " shapes what is trained; axes of evaluate change " + String.join(", ", EVALUATION_KEYS)
                        + ". Put it under axes");
            }
        }
        ExperimentConfig config =
                config(trained.config().toBuilder(), choice, trained.variant() + ", " + choice.label());
        String id = TrialIdentity.of(config, "evaluation of " + trained.id(), bundledText);
        Map<String, String> axes = new LinkedHashMap<>(trained.axes());
        axes.putAll(choice.axes());
        Plan cost = trained.plan();
        boolean sameCache = config.kvCache().equals(trained.config().kvCache());
        Plan plan = new Plan(
                cost.parameters(),
                0,
                0,
                0,
                0,
                sameCache ? cost.kvBytesPerToken() : mor.cost(config).kvBytesPerToken());
        String base = trained.axes().isEmpty() ? "" : trained.variant() + ", ";
        return new PlannedTrial(
                id,
                Kind.EVALUATION,
                Optional.of(trained.id()),
                base + choice.label(),
                axes,
                config.with("name", id),
                plan);
    }
}
