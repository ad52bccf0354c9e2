package io.mor.runtime.binding;

import io.mor.runtime.UsageException;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLParser;

/** YAML to trees with line numbers, and back. */
public final class Yaml {

    private Yaml() {}

    /**
     * A file's tree.
     *
     * @throws UsageException naming the file, and the line where there is one
     */
    public static ConfigNode.Mapping read(Path file) {
        try {
            return mapping(read(Files.readString(file), file.toString()), file.toString());
        } catch (NoSuchFileException e) {
            throw new UsageException("config file " + file + " does not exist", e);
        } catch (MalformedInputException e) {
            throw new UsageException("config file " + file + " is not UTF-8 text", e);
        } catch (IOException e) {
            throw new UsageException("config file " + file + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static ConfigNode.Mapping mapping(ConfigNode node, String source) {
        if (node.isNull()) {
            return new ConfigNode.Mapping(Map.of(), node.origin());
        }
        if (node instanceof ConfigNode.Mapping mapping) {
            return mapping;
        }
        throw new UsageException(source + ": a config is a mapping of keys to values, not " + node.describe());
    }

    /** A text's tree, which must be a mapping or empty. */
    public static ConfigNode.Mapping readMapping(String text, String source) {
        return mapping(read(text, source), source);
    }

    /** A text's tree; an empty text is a null. */
    public static ConfigNode read(String text, String source) {
        try (JsonParser parser = new YAMLFactory().createParser(ObjectReadContext.empty(), new StringReader(text))) {
            JsonToken first = parser.nextToken();
            if (first == null) {
                return ConfigNode.of(null, new Origin(source, 0));
            }
            ConfigNode node = value(parser, source, origin(parser, source));
            if (parser.nextToken() != null) {
                throw new UsageException(
                        origin(parser, source).prefix() + "a second document begins here; a config is one document");
            }
            return node;
        } catch (JacksonException e) {
            int line = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getLineNr());
            throw new UsageException(
                    new Origin(source, line).prefix() + "not valid YAML: " + sentences(e.getOriginalMessage()), e);
        }
    }

    /** What was being read and what was found instead; the indented lines between them say where, and quote it. */
    private static String sentences(String message) {
        return message.lines()
                .filter(line -> !line.isBlank() && !Character.isWhitespace(line.charAt(0)))
                .map(String::strip)
                .collect(Collectors.joining(", "));
    }

    private static Origin origin(JsonParser parser, String source) {
        return new Origin(source, Math.max(0, parser.currentTokenLocation().getLineNr()));
    }

    private static ConfigNode value(JsonParser parser, String source, Origin origin) {
        if (parser instanceof YAMLParser yaml && yaml.isCurrentAlias()) {
            throw new UsageException(
                    origin.prefix() + "aliases (*name) are not supported; use 'extends' or repeat the value");
        }
        return switch (parser.currentToken()) {
            case START_OBJECT -> {
                Map<String, ConfigNode> entries = new LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String key = parser.currentName();
                    Origin place = origin(parser, source);
                    parser.nextToken();
                    if (entries.put(key, value(parser, source, place)) != null) {
                        throw new UsageException(place.prefix() + "key '" + key + "' is given twice");
                    }
                }
                yield new ConfigNode.Mapping(entries, origin);
            }
            case START_ARRAY -> {
                List<ConfigNode> items = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    items.add(value(parser, source, origin(parser, source)));
                }
                yield new ConfigNode.Sequence(items, origin);
            }
            case VALUE_NUMBER_INT -> new ConfigNode.Scalar(ConfigNode.Kind.INTEGER, parser.getString(), origin);
            case VALUE_NUMBER_FLOAT -> new ConfigNode.Scalar(ConfigNode.Kind.DECIMAL, parser.getString(), origin);
            case VALUE_TRUE, VALUE_FALSE -> new ConfigNode.Scalar(ConfigNode.Kind.TRUTH, parser.getString(), origin);
            case VALUE_NULL -> ConfigNode.of(null, origin);
            default -> new ConfigNode.Scalar(ConfigNode.Kind.TEXT, parser.getString(), origin);
        };
    }

    /** A tree as YAML, keys in their order; reads back equal. */
    public static String write(ConfigNode node) {
        return YamlWriter.write(node);
    }
}
