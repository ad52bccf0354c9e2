package io.mor.runtime.config;

import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.UsageException;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Origin;
import io.mor.runtime.binding.Problems;
import io.mor.runtime.binding.RecordBinder;
import io.mor.runtime.binding.TreePath;
import io.mor.runtime.binding.Yaml;
import io.mor.runtime.plugin.PluginCatalog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Puts a config together: files, texts, single keys; what comes later wins. Where a later layer names another {@code type} of extension,
 * the section's earlier options fall away. Immutable: every method returns a new builder.
 */
public final class ConfigBuilder {

    static final ConfigBuilder EMPTY = new ConfigBuilder(ConfigNode.Mapping.EMPTY);

    private static final int LONGEST_CHAIN = 16;

    private final ConfigNode.Mapping tree;

    private ConfigBuilder(ConfigNode.Mapping tree) {
        this.tree = tree;
    }

    /**
     * Adds a YAML file. Its key {@code extends}, if any, names a file (relative to it) that is added before it.
     *
     * @throws UsageException naming the file and line if it cannot be read
     */
    public ConfigBuilder file(Path file) {
        return tree(read(file, List.of()));
    }

    private static ConfigNode.Mapping read(Path file, List<Path> chain) {
        Path path = file.toAbsolutePath().normalize();
        if (chain.contains(path) || chain.size() > LONGEST_CHAIN) {
            throw new UsageException("config file " + file + " extends itself: " + chain);
        }
        ConfigNode.Mapping own = Yaml.read(file);
        Optional<ConfigNode> base = own.get("extends");
        if (base.isEmpty()) {
            return own;
        }
        if (!(base.get() instanceof ConfigNode.Scalar name)) {
            throw new UsageException(base.get().origin().prefix() + "extends is "
                    + base.get().describe() + "; it must be the path of a config file");
        }
        List<Path> longer = new ArrayList<>(chain);
        longer.add(path);
        return ExtensionSection.merge(read(path.resolveSibling(name.text()), longer), own.without("extends"));
    }

    /** Adds YAML text. */
    public ConfigBuilder yaml(String text) {
        return tree(Yaml.readMapping(text, "config text"));
    }

    /** Adds a tree. */
    ConfigBuilder tree(ConfigNode.Mapping above) {
        return new ConfigBuilder(ExtensionSection.merge(tree, above));
    }

    /**
     * Sets one key.
     *
     * @param key a path in kebab case, list elements by index: {@code training.learning-rate}, {@code metrics.sinks[0].type}
     * @param value a text, number, boolean, enum constant, path, list, map or record
     */
    public ConfigBuilder with(String key, Object value) {
        return set(key, ConfigNode.of(value, Origin.CODE));
    }

    /**
     * Sets one key as a command line says it.
     *
     * @param assignment {@code key=value}, the value in YAML: {@code training.steps=100}, {@code router.capacity=[1, 0.5]}
     */
    public ConfigBuilder override(String assignment) {
        int equals = assignment.indexOf('=');
        if (equals < 1) {
            throw new UsageException("-s " + assignment + ": an override is key=value, like training.steps=100");
        }
        String source = "-s " + assignment;
        ConfigNode value = Yaml.read(assignment.substring(equals + 1), source);
        return set(
                assignment.substring(0, equals).strip(),
                value instanceof ConfigNode.Scalar scalar ? unplaced(scalar, source) : value);
    }

    private static ConfigNode unplaced(ConfigNode.Scalar scalar, String source) {
        return new ConfigNode.Scalar(scalar.kind(), scalar.text(), new Origin(source, 0));
    }

    private ConfigBuilder set(String key, ConfigNode value) {
        ConfigNode.Mapping base = ExtensionSection.dropOtherOptions(tree, key, value);
        return new ConfigBuilder(TreePath.of(key).set(base, value));
    }

    /** The plugin folders that the config names so far: what a catalog is needed for before the rest can be checked. */
    public List<Path> pluginFolders() {
        ConfigNode.Mapping alone = tree.get("plugins")
                .map(node -> ConfigNode.Mapping.EMPTY.with("plugins", node))
                .orElse(ConfigNode.Mapping.EMPTY);
        return RecordBinder.bindOrThrow(ExperimentConfig.class, alone, "").plugins();
    }

    /**
     * The config, checked as far as that goes without knowing the extensions.
     *
     * @throws UsageException with everything that is wrong
     */
    public ExperimentConfig build() {
        Problems problems = new Problems();
        Optional<ExperimentConfig> config = bind(problems);
        config.ifPresent(bound -> ConfigChecks.check(bound, problems));
        problems.throwIfAny();
        return config.orElseThrow();
    }

    /**
     * The config with every default of its extensions filled in, all of it checked.
     *
     * @throws UsageException with everything that is wrong
     */
    public ExperimentConfig build(PluginCatalog catalog) {
        Problems problems = new Problems();
        Optional<ExperimentConfig> config = bind(problems);
        config.ifPresent(bound -> ConfigChecks.check(bound, problems));
        Optional<ExperimentConfig> resolved =
                config.flatMap(bound -> new ConfigResolver(catalog, problems).resolve(bound, tree));
        config.filter(bound -> isThere(bound.router(), catalog))
                .ifPresent(bound -> ConfigChecks.routing(bound, problems));
        resolved.ifPresent(bound -> ConfigChecks.capacities(bound.router(), problems));
        problems.throwIfAny();
        return resolved.orElseThrow();
    }

    private static boolean isThere(ExtensionConfig router, PluginCatalog catalog) {
        return router.type().equals("none")
                || catalog.find(ExtensionKind.ROUTER, router.type()).isPresent();
    }

    private Optional<ExperimentConfig> bind(Problems problems) {
        return new RecordBinder(problems).bind(ExperimentConfig.class, ModelPresets.apply(tree, problems), "");
    }
}
