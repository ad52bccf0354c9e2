package io.mor.study.plan;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Names;
import io.mor.runtime.binding.Problems;
import io.mor.runtime.binding.RecordBinder;
import io.mor.runtime.binding.Yaml;
import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * A study as its file describes it.
 *
 * <p>Keys: {@code study} (its name), {@code extends} (a study whose keys count where this one has none), {@code description}, {@code base} (a config file, relative to the study file), {@code config} (keys over the base),
 * {@code seeds}, {@code axes}, {@code skip} (points that are left out), {@code budget}, {@code evaluate} (axes over trained models: nothing is
 * trained for them) and {@code measure}.
 */
public final class StudyFile {

    private static final List<String> KEYS = List.of(
            "study",
            "extends",
            "description",
            "base",
            "config",
            "seeds",
            "axes",
            "skip",
            "budget",
            "evaluate",
            "measure");

    /** What a config writes for the text that comes with the program. */
    public static final String BUNDLED_TEXT = "${bundled-text}";

    private final String name;
    private final String description;
    private final String text;
    private final ConfigBuilder config;
    private final List<Long> seeds;
    private final List<Axis> axes;
    private final List<Choice> skipped;
    private final Budget budget;
    private final List<Axis> evaluations;
    private final Measures measures;

    private StudyFile(ConfigNode.Mapping tree, Path file, String text, UnaryOperator<ConfigBuilder> over) {
        this.text = text;
        for (var entry : tree.entries().entrySet()) {
            if (!KEYS.contains(entry.getKey())) {
                throw new UsageException(
                        entry.getValue().origin().prefix() + "unknown key '" + entry.getKey() + "' in the study"
                                + Names.didYouMean(entry.getKey(), KEYS) + "; its keys are " + String.join(", ", KEYS));
            }
        }
        this.name = scalar(tree, "study")
                .orElseThrow(() -> new UsageException(file + ": key 'study' is missing: the study's name"));
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
            throw new UsageException(tree.get("study").orElseThrow().origin().prefix() + "study is '" + name
                    + "'; a name has letters, digits, '.', '_' and '-'");
        }
        this.description = scalar(tree, "description").orElse("");
        this.config = over.apply(base(tree, file));
        this.seeds = tree.get("seeds").map(StudyFile::seeds).orElse(List.of());
        this.axes = tree.get("axes").map(node -> Axis.of(node, "axes")).orElse(List.of());
        this.skipped = tree.get("skip").map(StudyFile::points).orElse(List.of());
        this.budget = tree.get("budget")
                .map(node -> bind(Budget.class, node, "budget"))
                .orElse(Budget.NONE);
        this.evaluations =
                tree.get("evaluate").map(node -> Axis.of(node, "evaluate")).orElse(List.of());
        this.measures = bind(Measures.class, tree.get("measure").orElse(ConfigNode.Mapping.EMPTY), "measure");
    }

    /**
     * Reads a study.
     *
     * @param over what is set over the config of all trials
     * @throws UsageException naming the file and line of what is wrong
     */
    public static StudyFile read(Path file, UnaryOperator<ConfigBuilder> over) {
        ConfigNode.Mapping tree = extended(Yaml.read(file), file);
        try {
            return new StudyFile(tree, file, Files.readString(file), over);
        } catch (IOException e) {
            throw new MorException("study file " + file + " cannot be read: " + e.getMessage(), e);
        }
    }

    /** With the keys of the study that it extends, if any, where it has none of its own. */
    private static ConfigNode.Mapping extended(ConfigNode.Mapping own, Path file) {
        Optional<String> extended = scalar(own, "extends");
        if (extended.isEmpty()) {
            return own;
        }
        ConfigNode.Mapping tree = Yaml.read(file.toAbsolutePath().resolveSibling(extended.get()));
        if (tree.get("extends").isPresent()) {
            throw new UsageException(tree.get("extends").orElseThrow().origin().prefix()
                    + "a study that others extend extends none itself");
        }
        for (var entry : own.without("extends").entries().entrySet()) {
            tree = tree.with(entry.getKey(), entry.getValue());
        }
        return tree;
    }

    private static Optional<String> scalar(ConfigNode.Mapping tree, String key) {
        return tree.get(key).map(node -> {
            if (node instanceof ConfigNode.Scalar value) {
                return value.text();
            }
            throw new UsageException(node.origin().prefix() + key + " is " + node.describe() + "; it must be a text");
        });
    }

    private static ConfigBuilder base(ConfigNode.Mapping tree, Path file) {
        ConfigBuilder builder = ExperimentConfig.builder();
        Optional<String> base = scalar(tree, "base");
        if (base.isPresent()) {
            builder = builder.file(file.toAbsolutePath().resolveSibling(base.get()));
        }
        Optional<ConfigNode> own = tree.get("config");
        if (own.isPresent()) {
            if (!(own.get() instanceof ConfigNode.Mapping)) {
                throw new UsageException(own.get().origin().prefix() + "config is "
                        + own.get().describe() + "; it must be a mapping of config keys to values");
            }
            builder = set(builder, List.of(new Assignment("", own.get())));
        }
        return builder;
    }

    /** A config with keys set. */
    static ConfigBuilder set(ConfigBuilder config, List<Assignment> assignments) {
        ConfigBuilder builder = config;
        for (Assignment single : Assignment.singleKeys(assignments)) {
            try {
                builder = builder.with(single.key(), single.value());
            } catch (UsageException e) {
                String place = single.value().origin().prefix();
                throw e.getMessage().startsWith(place) ? e : new UsageException(place + e.getMessage(), e);
            }
        }
        return builder;
    }

    private static List<Long> seeds(ConfigNode node) {
        List<Long> seeds = new ArrayList<>();
        if (node instanceof ConfigNode.Sequence sequence) {
            for (ConfigNode item : sequence.items()) {
                if (item instanceof ConfigNode.Scalar value && value.text().matches("-?\\d{1,18}")) {
                    seeds.add(Long.valueOf(value.text()));
                } else {
                    throw new UsageException(
                            item.origin().prefix() + "seeds has " + item.describe() + "; a seed is a whole number");
                }
            }
        }
        if (seeds.isEmpty()) {
            throw new UsageException(node.origin().prefix() + "seeds is "
                    + (node instanceof ConfigNode.Sequence ? "empty" : node.describe())
                    + "; it must be a list of whole numbers, like [1, 2, 3]");
        }
        return List.copyOf(seeds);
    }

    private static List<Choice> points(ConfigNode node) {
        if (node instanceof ConfigNode.Sequence sequence) {
            return sequence.items().stream().map(Axis::choice).toList();
        }
        throw new UsageException(node.origin().prefix() + "skip is " + node.describe()
                + "; it must be a list of points, like [{router.type: token-choice, kv-cache.type: hybrid}]");
    }

    private static <T extends Record> T bind(Class<T> type, ConfigNode node, String section) {
        if (!(node instanceof ConfigNode.Mapping mapping)) {
            throw new UsageException(
                    node.origin().prefix() + section + " is " + node.describe() + "; it must be a mapping");
        }
        Problems problems = new Problems();
        Optional<T> bound = new RecordBinder(problems).bind(type, mapping, section);
        problems.throwIfAny();
        return bound.orElseThrow(() -> new MorException(section + " was not bound"));
    }

    /** The study's name. */
    public String name() {
        return name;
    }

    /** What it is about; may be empty. */
    public String description() {
        return description;
    }

    /** The file's text. */
    public String text() {
        return text;
    }

    /** The config of all trials, before axes and budget. */
    public ConfigBuilder config() {
        return config;
    }

    /** What is held equal. */
    public Budget budget() {
        return budget;
    }

    /** What is measured after training. */
    public Measures measures() {
        return measures;
    }

    /** The trainings that it asks for, points that are skipped and seeds included: how many configs there are to look at. */
    public double size() {
        return count(axes) * Math.max(1, seeds.size()) * count(evaluations);
    }

    private static double count(List<Axis> axes) {
        return axes.stream().mapToDouble(Axis::size).reduce(1, (a, b) -> a * b);
    }

    /** The seeds; the config's own if none are given. */
    List<Long> seeds() {
        return seeds;
    }

    /** Every combination of the axes that is not skipped. */
    List<Choice> trainings() {
        return product(axes).stream()
                .filter(point -> skipped.stream().noneMatch(point::contains))
                .toList();
    }

    /** Every combination of the evaluation's axes; none if there are none. */
    List<Choice> evaluations() {
        return evaluations.isEmpty() ? List.of() : product(evaluations);
    }

    private static List<Choice> product(List<Axis> axes) {
        List<Choice> points = List.of(Choice.NOTHING);
        for (Axis axis : axes) {
            List<Choice> longer = new ArrayList<>();
            for (Choice point : points) {
                axis.choices().forEach(choice -> longer.add(point.and(choice)));
            }
            points = longer;
        }
        return points;
    }
}
