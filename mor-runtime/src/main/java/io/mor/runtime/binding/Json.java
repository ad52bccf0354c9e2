package io.mor.runtime.binding;

import tools.jackson.databind.json.JsonMapper;

/** Java values as JSON text. */
public final class Json {

    private Json() {}

    /** Maps, lists, texts, numbers and booleans, indented. */
    public static String write(Object value) {
        return JsonMapper.builder().build().writerWithDefaultPrettyPrinter().writeValueAsString(value) + "\n";
    }
}
