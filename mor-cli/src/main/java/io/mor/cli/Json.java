package io.mor.cli;

import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** Results for programs: one line. */
final class Json {

    private static final JsonMapper MAPPER = JsonMapper.builder().build();

    private Json() {}

    /** A mapping on one line, keys in their order. NaN and infinities are texts. */
    static String line(Map<String, ?> values) {
        return MAPPER.writeValueAsString(values);
    }
}
