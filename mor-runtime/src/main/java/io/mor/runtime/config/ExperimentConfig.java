package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Names;
import io.mor.runtime.binding.RecordWriter;
import io.mor.runtime.binding.Yaml;
import io.mor.runtime.plugin.PluginCatalog;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Everything that can be said about an experiment. Every key has a default, so that an empty config is one that works (but for {@code
 * data.paths} in training). Made by {@link #builder}; components of nested records are keys in kebab case, {@code training.learning-rate}.
 *
 * @param name of the run
 * @param seed of everything random
 * @param runs the folder in which the run's folder is made
 * @param model shape, sharing and layers
 * @param router who goes through which recursion; {@code none}: everybody, all of them
 * @param selector the causal rule of generation; {@code default}: what the router declares, {@code ema-cutoff} for expert-choice
 * @param kvCache what is stored and read at each recursion
 * @param backend where kernels run; {@code auto}: the fastest there is
 * @param tokenizer text to ids
 * @param data what to train on
 * @param training how to train
 * @param generation how to generate
 * @param metrics where figures go
 * @param plugins plugin folders
 */
public record ExperimentConfig(
        @Help("name of the run") @DefaultValue("experiment") String name,

        @Help("seed of everything random") @DefaultValue("1")
        long seed,

        @Help("folder in which the run's folder is made") @DefaultValue("runs")
        Path runs,

        @Help("shape, sharing and layers") ModelSection model,

        @Help("who goes through which recursion; none: everybody, all of them") @DefaultValue("none")
        ExtensionConfig router,

        @Help("causal rule of generation; default: what the router declares, ema-cutoff for expert-choice")
        @DefaultValue("default")
        ExtensionConfig selector,

        @Help("what is stored and read at each recursion") @DefaultValue("recursion-wise")
        ExtensionConfig kvCache,

        @Help("where kernels run; auto: the fastest there is") @DefaultValue("auto")
        ExtensionConfig backend,

        @Help("text to ids") @DefaultValue("byte") ExtensionConfig tokenizer,
        @Help("what to train on") DataConfig data,
        @Help("how to train") TrainingConfig training,
        @Help("how to generate") GenerationConfig generation,
        @Help("where figures go") MetricsConfig metrics,
        @Help("plugin folders") @DefaultValue("[]") List<Path> plugins) {

    /** A builder that starts from nothing. */
    public static ConfigBuilder builder() {
        return ConfigBuilder.EMPTY;
    }

    /** The config in a YAML file; extensions are not looked at before {@link #resolve}. */
    public static ExperimentConfig load(Path file) {
        return builder().file(file).build();
    }

    /** A builder that starts from this config. */
    public ConfigBuilder toBuilder() {
        return builder().tree(tree());
    }

    /** This config with one key changed, for example {@code with("training.steps", 100)}. */
    public ExperimentConfig with(String key, Object value) {
        return toBuilder().with(key, value).build();
    }

    /**
     * This config with every default of its extensions filled in, after checking all of it.
     *
     * @throws io.mor.runtime.UsageException with everything that is wrong
     */
    public ExperimentConfig resolve(PluginCatalog catalog) {
        return toBuilder().build(catalog);
    }

    /** Things that are allowed but worth saying. */
    public List<String> warnings() {
        return ConfigChecks.warnings(this);
    }

    /** All of it as YAML, in a stable order; loads back equal. */
    public String toYaml() {
        return Yaml.write(tree());
    }

    /** All of it as key paths and values, {@code training.steps} to {@code 1000}, in a stable order. */
    public Map<String, String> flat() {
        Map<String, String> values = new LinkedHashMap<>();
        flatten("", tree(), values);
        return Collections.unmodifiableMap(values);
    }

    private static void flatten(String path, ConfigNode node, Map<String, String> values) {
        switch (node) {
            case ConfigNode.Mapping mapping ->
                mapping.entries()
                        .forEach((key, value) -> flatten(path.isEmpty() ? key : path + "." + key, value, values));
            case ConfigNode.Sequence sequence -> {
                for (int i = 0; i < sequence.items().size(); i++) {
                    flatten(path + "[" + i + "]", sequence.items().get(i), values);
                }
            }
            case ConfigNode.Scalar scalar -> values.put(path, scalar.text());
        }
    }

    private ConfigNode.Mapping tree() {
        return RecordWriter.write(this);
    }

    /** How an enum constant is spelt in configs. */
    public static String spell(Enum<?> constant) {
        return Names.kebabCase(constant);
    }
}
