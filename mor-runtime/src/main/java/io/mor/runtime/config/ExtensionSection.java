package io.mor.runtime.config;

import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.TreePath;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** The sections of a config that name an extension. */
enum ExtensionSection {
    BLOCK(
            "model.block",
            ExtensionKind.RECURSION_BLOCK,
            List.of(),
            config -> config.model().block()),
    ROUTER("router", ExtensionKind.ROUTER, List.of("none"), ExperimentConfig::router),
    SELECTOR("selector", ExtensionKind.SELECTOR, List.of("default"), ExperimentConfig::selector),
    KV_CACHE("kv-cache", ExtensionKind.KV_CACHE, List.of(), ExperimentConfig::kvCache),
    BACKEND("backend", ExtensionKind.BACKEND, List.of("auto"), ExperimentConfig::backend),
    TOKENIZER("tokenizer", ExtensionKind.TOKENIZER, List.of("none"), ExperimentConfig::tokenizer);

    private final String path;
    private final ExtensionKind kind;
    private final List<String> reserved;
    private final Function<ExperimentConfig, ExtensionConfig> section;

    ExtensionSection(
            String path,
            ExtensionKind kind,
            List<String> reserved,
            Function<ExperimentConfig, ExtensionConfig> section) {
        this.path = path;
        this.kind = kind;
        this.reserved = reserved;
        this.section = section;
    }

    /** The section at a path, if there is one. */
    static Optional<ExtensionSection> at(String path) {
        return Arrays.stream(values())
                .filter(section -> section.path.equals(path))
                .findFirst();
    }

    String path() {
        return path;
    }

    ExtensionKind kind() {
        return kind;
    }

    /** Types that are no extension's id. */
    List<String> reserved() {
        return reserved;
    }

    ExtensionConfig of(ExperimentConfig config) {
        return section.apply(config);
    }

    /** {@code above} over {@code below}; a section of another type replaces the section below, it is not mixed with it. */
    static ConfigNode.Mapping merge(ConfigNode.Mapping below, ConfigNode.Mapping above) {
        ConfigNode.Mapping base = below;
        ConfigNode.Mapping top = above;
        for (ExtensionSection section : values()) {
            TreePath path = TreePath.of(section.path);
            Optional<ConfigNode> given = path.get(above).map(ConfigNode::expanded);
            Optional<ConfigNode> old = path.get(below).map(ConfigNode::expanded);
            if (given.isPresent() && old.isPresent()) {
                base = path.set(
                        base,
                        type(given.get()).isPresent() && !type(given.get()).equals(type(old.get()))
                                ? given.get()
                                : old.get());
                top = path.set(top, given.get());
            }
        }
        return top.over(base);
    }

    /** The tree before {@code key} is set to {@code value}: if that changes a section's type, without the options of the type before. */
    static ConfigNode.Mapping dropOtherOptions(ConfigNode.Mapping tree, String key, ConfigNode value) {
        for (ExtensionSection section : values()) {
            TreePath path = TreePath.of(section.path);
            Optional<ConfigNode> old = path.get(tree).map(ConfigNode::expanded);
            if (key.equals(section.path + ".type")
                    && old.isPresent()
                    && !type(old.get()).equals(text(value))) {
                return path.set(tree, new ConfigNode.Mapping(Map.of(), value.origin()));
            }
        }
        return tree;
    }

    private static Optional<String> type(ConfigNode section) {
        return section instanceof ConfigNode.Mapping mapping
                ? mapping.get("type").flatMap(ExtensionSection::text)
                : Optional.empty();
    }

    private static Optional<String> text(ConfigNode node) {
        return node instanceof ConfigNode.Scalar scalar ? Optional.of(scalar.text()) : Optional.empty();
    }
}
