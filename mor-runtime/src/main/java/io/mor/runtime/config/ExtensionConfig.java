package io.mor.runtime.config;

import io.mor.api.plugin.Help;
import io.mor.runtime.binding.OtherKeys;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which extension is used and how. In a config {@code router: expert-choice} is short for {@code router: {type: expert-choice}}.
 *
 * @param type the extension's id
 * @param options the keys of its config record, as texts, numbers, booleans, lists and maps
 */
public record ExtensionConfig(
        @Help("id of the extension") String type, @OtherKeys Map<String, Object> options) {

    /** Copies the options, in their order. */
    public ExtensionConfig {
        options = Collections.unmodifiableMap(new LinkedHashMap<>(options));
    }

    /** An extension with its defaults. */
    public static ExtensionConfig of(String type) {
        return new ExtensionConfig(type, Map.of());
    }
}
