package io.mor.runtime.binding;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Trees as YAML: block style, lists of scalars in one line, texts in double quotes unless they are plainly words. Every text is read back as it
 * was, which the YAML library's own output with few quotes does not promise.
 */
final class YamlWriter {

    private static final Pattern WORDS = Pattern.compile("[A-Za-z/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*");
    private static final Set<String> RESERVED = Set.of("null", "true", "false", "yes", "no", "on", "off", "y", "n");

    private final StringBuilder out = new StringBuilder();

    private YamlWriter() {}

    static String write(ConfigNode node) {
        YamlWriter writer = new YamlWriter();
        writer.block(node, 0);
        return writer.out.toString();
    }

    /** Writes whole lines; the first may stand behind something, such as "- ". */
    private void block(ConfigNode node, int indent) {
        switch (node) {
            case ConfigNode.Mapping mapping
            when !mapping.entries().isEmpty() -> {
                boolean first = true;
                for (Map.Entry<String, ConfigNode> entry : mapping.entries().entrySet()) {
                    out.append(first ? "" : " ".repeat(indent))
                            .append(text(entry.getKey()))
                            .append(':');
                    first = false;
                    below(entry.getValue(), indent);
                }
            }
            case ConfigNode.Sequence sequence
            when !isInline(sequence) -> {
                boolean first = true;
                for (ConfigNode item : sequence.items()) {
                    out.append(first ? "" : " ".repeat(indent)).append("- ");
                    first = false;
                    block(item, indent + 2);
                }
            }
            default -> out.append(inline(node)).append('\n');
        }
    }

    private void below(ConfigNode value, int indent) {
        boolean inline = switch (value) {
            case ConfigNode.Mapping mapping -> mapping.entries().isEmpty();
            case ConfigNode.Sequence sequence -> isInline(sequence);
            case ConfigNode.Scalar scalar -> true;
        };
        if (inline) {
            out.append(' ').append(inline(value)).append('\n');
        } else {
            out.append('\n').append(" ".repeat(indent + 2));
            block(value, indent + 2);
        }
    }

    private static boolean isInline(ConfigNode.Sequence sequence) {
        return sequence.items().stream().allMatch(item -> item instanceof ConfigNode.Scalar);
    }

    private static String inline(ConfigNode node) {
        return switch (node) {
            case ConfigNode.Mapping mapping -> "{}";
            case ConfigNode.Sequence sequence -> list(sequence.items());
            case ConfigNode.Scalar scalar ->
                switch (scalar.kind()) {
                    case TEXT -> text(scalar.text());
                    case INTEGER, DECIMAL, TRUTH -> scalar.text();
                    case NULL -> "null";
                };
        };
    }

    private static String list(List<ConfigNode> items) {
        return items.stream().map(YamlWriter::inline).collect(Collectors.joining(", ", "[", "]"));
    }

    private static String text(String text) {
        return WORDS.matcher(text).matches() && !RESERVED.contains(text.toLowerCase(Locale.ROOT)) ? text : quoted(text);
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        text.codePoints().forEach(c -> {
            switch (c) {
                case '"' -> quoted.append("\\\"");
                case '\\' -> quoted.append("\\\\");
                case '\n' -> quoted.append("\\n");
                case '\t' -> quoted.append("\\t");
                default -> {
                    if (c >= 0x20 && c < 0x7f || Character.isLetterOrDigit(c)) {
                        quoted.appendCodePoint(c);
                    } else {
                        quoted.append(c < 0x10000 ? "\\u%04x".formatted(c) : "\\U%08x".formatted(c));
                    }
                }
            }
        });
        return quoted.append('"').toString();
    }
}
