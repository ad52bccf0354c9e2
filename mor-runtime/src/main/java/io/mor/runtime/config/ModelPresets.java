package io.mor.runtime.config;

import io.mor.runtime.MorException;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Names;
import io.mor.runtime.binding.Problems;
import io.mor.runtime.binding.Yaml;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Named model shapes: the SmolLM sizes of the paper with the layers of their vanilla models (spec 5.1), and small ones for a CPU. Recursive
 * models of these sizes whose layers do not divide set {@code layers} themselves, as the paper does (spec 1.3): 32 for 135M with 3 recursions, 34
 * for 360M with 4, 26 for 1.7B with 3.
 */
public final class ModelPresets {

    private static final List<String> NAMES =
            List.of("smollm-135m", "smollm-360m", "smollm-730m", "smollm-1.7b", "tiny", "micro");

    private ModelPresets() {}

    /** Their names. */
    public static List<String> names() {
        return NAMES;
    }

    /** The tree with the preset's keys under those of its model section, and without the preset's name. */
    static ConfigNode.Mapping apply(ConfigNode.Mapping tree, Problems problems) {
        if (!(tree.get("model").orElse(null) instanceof ConfigNode.Mapping model)
                || !(model.get("preset").orElse(null) instanceof ConfigNode.Scalar preset)) {
            return tree;
        }
        ConfigNode.Mapping given = model.without("preset");
        if (!NAMES.contains(preset.text())) {
            problems.add(
                    preset.origin(),
                    "no model preset '" + preset.text() + "'" + Names.didYouMean(preset.text(), NAMES) + "; there are "
                            + String.join(", ", NAMES));
            return tree.with("model", given);
        }
        return tree.with("model", given.over(read(preset.text())));
    }

    private static ConfigNode.Mapping read(String name) {
        try (InputStream resource = ModelPresets.class.getResourceAsStream("models/" + name + ".yaml")) {
            if (resource == null) {
                throw new MorException("model preset " + name + " is not in this build");
            }
            return Yaml.readMapping(new String(resource.readAllBytes(), StandardCharsets.UTF_8), "preset " + name);
        } catch (IOException e) {
            throw new MorException("model preset " + name + " cannot be read: " + e.getMessage(), e);
        }
    }
}
