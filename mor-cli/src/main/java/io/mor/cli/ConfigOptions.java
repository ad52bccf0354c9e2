package io.mor.cli;

import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code -s key=value} and {@code --plugins}: what changes a config on the command line. */
final class ConfigOptions {

    @Option(
            names = {"-s", "--set"},
            paramLabel = "KEY=VALUE",
            description =
                    "Set a config key, for example training.steps=100 or router.capacity=[1,0.5]. May be repeated; wins over the file.")
    private List<String> settings = new ArrayList<>();

    @Mixin
    private PluginOptions plugins;

    /** A config from a file, or from the defaults if there is none, with the settings over it. */
    ConfigBuilder builder(Optional<Path> file) {
        ConfigBuilder builder = ExperimentConfig.builder();
        return withSettings(file.isPresent() ? builder.file(file.get()) : builder);
    }

    /** A config that is being put together, with the settings over it. */
    ConfigBuilder over(ConfigBuilder builder) {
        return withSettings(builder);
    }

    /** A config with the settings over it. */
    UnaryOperator<ExperimentConfig> changes() {
        return config -> withSettings(config.toBuilder()).build();
    }

    private ConfigBuilder withSettings(ConfigBuilder config) {
        ConfigBuilder builder = config;
        for (String setting : settings) {
            builder = builder.override(setting);
        }
        Set<Path> folders = new LinkedHashSet<>(builder.pluginFolders());
        folders.addAll(plugins.folders());
        return folders.isEmpty()
                ? builder
                : builder.with("plugins", folders.stream().map(Path::toString).toList());
    }

    /** The runtime with the plugins that a config names. */
    static Mor open(ConfigBuilder builder) {
        return Mor.open(builder.pluginFolders());
    }

    /** The runtime with the plugins that a run's own config names and those given here. */
    Mor open(ExperimentConfig saved) {
        return open(withSettings(saved.toBuilder()));
    }
}
