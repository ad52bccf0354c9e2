/**
 * Everything of mor that is not pluggable: config, discovery, wiring, automatic differentiation, the model's walk, training, checkpoints,
 * generation and evaluation.
 *
 * <p>Wires extensions found through {@link io.mor.api.plugin.MorPlugin}. Guice and Jackson are used here and appear in no signature. Opens
 * nothing.
 */
module io.mor.runtime {
    requires transitive io.mor.api;
    requires com.google.guice;
    requires com.google.common; // Guice has no descriptor, so nothing else would put Guava into the module graph
    requires java.logging; // nor this
    requires tools.jackson.databind;
    requires tools.jackson.dataformat.yaml;

    exports io.mor.runtime;
    exports io.mor.runtime.binding to
            io.mor.study;
    exports io.mor.runtime.builtin;
    exports io.mor.runtime.config;
    exports io.mor.runtime.conformance;
    exports io.mor.runtime.data;
    exports io.mor.runtime.evaluate;
    exports io.mor.runtime.flops;
    exports io.mor.runtime.generate;
    exports io.mor.runtime.importer;
    exports io.mor.runtime.experiment;
    exports io.mor.runtime.memory;
    exports io.mor.runtime.metrics;
    exports io.mor.runtime.model;
    exports io.mor.runtime.plugin;
    exports io.mor.runtime.safetensors;
    exports io.mor.runtime.tape;
    exports io.mor.runtime.train;

    uses io.mor.api.plugin.MorPlugin;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.runtime.builtin.BuiltinPlugin;
}
