package io.mor.runtime.config;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Origin;
import io.mor.runtime.binding.Problems;
import io.mor.runtime.binding.RecordBinder;
import io.mor.runtime.binding.RecordWriter;
import io.mor.runtime.binding.TreePath;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Binds extension sections to the config records of the plugins and writes them back with every default. */
final class ConfigResolver {

    private final PluginCatalog catalog;
    private final Problems problems;

    ConfigResolver(PluginCatalog catalog, Problems problems) {
        this.catalog = catalog;
        this.problems = problems;
    }

    /**
     * The config with resolved sections, or empty if problems were reported.
     *
     * @param tree what the config was bound from, for the places of its values
     */
    Optional<ExperimentConfig> resolve(ExperimentConfig config, ConfigNode.Mapping tree) {
        Map<ExtensionSection, ExtensionConfig> resolved = new EnumMap<>(ExtensionSection.class);
        for (ExtensionSection section : ExtensionSection.values()) {
            ExtensionConfig given = section.of(config);
            ExtensionConfig chosen = section == ExtensionSection.SELECTOR ? selector(given, config.router()) : given;
            ConfigNode place = TreePath.of(section.path()).get(tree).orElse(ConfigNode.Mapping.EMPTY);
            section(section.kind(), section.path(), section.reserved(), chosen, place)
                    .ifPresent(done -> resolved.put(section, done));
        }
        List<ExtensionConfig> sinks = new ArrayList<>();
        boolean chosen = isWritten(tree, "metrics.sinks") || !config.metrics().equals(MetricsConfig.DEFAULT);
        for (int i = 0; i < config.metrics().sinks().size(); i++) {
            String path = "metrics.sinks[" + i + "]";
            ConfigNode place = TreePath.of(path).get(tree).orElse(ConfigNode.Mapping.EMPTY);
            String type = config.metrics().sinks().get(i).type();
            if (!chosen && catalog.find(ExtensionKind.METRIC_SINK, type).isEmpty()) {
                continue; // a host need not bring a plugin that nobody asked for
            }
            section(
                            ExtensionKind.METRIC_SINK,
                            path,
                            List.of(),
                            config.metrics().sinks().get(i),
                            place)
                    .ifPresent(sinks::add);
        }
        return problems.isEmpty() ? Optional.of(with(config, resolved, sinks)) : Optional.empty();
    }

    /** Whether somebody wrote it down, in a file or on a command line. */
    private static boolean isWritten(ConfigNode.Mapping tree, String path) {
        return TreePath.of(path)
                .get(tree)
                .filter(node -> !node.origin().equals(Origin.CODE))
                .isPresent();
    }

    /** {@code default} is what the router declares (spec 2.7, 9.3). */
    private ExtensionConfig selector(ExtensionConfig given, ExtensionConfig router) {
        if (!given.type().equals("default")) {
            return given;
        }
        return catalog.find(ExtensionKind.ROUTER, router.type())
                .flatMap(found -> found.extension().defaultSelector())
                .filter(id -> catalog.find(ExtensionKind.SELECTOR, id).isPresent())
                .map(id -> new ExtensionConfig(id, given.options()))
                .orElse(given);
    }

    private Optional<ExtensionConfig> section(
            ExtensionKind kind, String path, List<String> reserved, ExtensionConfig given, ConfigNode place) {
        if (reserved.contains(given.type())) {
            given.options()
                    .keySet()
                    .forEach(key -> problems.add(
                            key(place, key),
                            "unknown key '" + key + "' in " + path + "; type " + given.type()
                                    + " has none, name an extension by type"));
            return Optional.of(given);
        }
        Optional<FoundExtension> found = catalog.find(kind, given.type());
        if (found.isEmpty()) {
            problems.add(key(place, "type"), path + ": " + catalog.unknown(kind, given.type(), reserved));
            return Optional.empty();
        }
        Extension extension = found.get().extension();
        ConfigNode.Mapping options = place.expanded() instanceof ConfigNode.Mapping mapping
                ? new ConfigNode.Mapping(mapping.without("type").entries(), place.origin())
                : ConfigNode.Mapping.EMPTY;
        return new RecordBinder(problems)
                .bind(extension.config(), options, path)
                .map(record -> new ExtensionConfig(
                        given.type(), RecordWriter.write(record).toJava()));
    }

    private static Origin key(ConfigNode section, String key) {
        return section.expanded() instanceof ConfigNode.Mapping mapping
                ? mapping.get(key).map(ConfigNode::origin).orElse(section.origin())
                : section.origin();
    }

    private static ExperimentConfig with(
            ExperimentConfig config, Map<ExtensionSection, ExtensionConfig> resolved, List<ExtensionConfig> sinks) {
        return new ExperimentConfig(
                config.name(),
                config.seed(),
                config.runs(),
                new ModelSection(
                        Optional.empty(),
                        config.model().startFrom(),
                        config.model().shape(),
                        resolved.get(ExtensionSection.BLOCK)),
                resolved.get(ExtensionSection.ROUTER),
                resolved.get(ExtensionSection.SELECTOR),
                resolved.get(ExtensionSection.KV_CACHE),
                resolved.get(ExtensionSection.BACKEND),
                resolved.get(ExtensionSection.TOKENIZER),
                config.data(),
                config.training(),
                config.generation(),
                new MetricsConfig(sinks),
                config.plugins());
    }
}
