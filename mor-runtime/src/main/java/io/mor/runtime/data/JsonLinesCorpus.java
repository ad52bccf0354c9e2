package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A file of JSON objects, one a line, each a document: the string in one of its fields. Blank lines are passed over; JSON is UTF-8 by
 * definition, so a line that is not is an error.
 *
 * @param file the file
 * @param field the name of the field that holds the text
 */
public record JsonLinesCorpus(Path file, String field) implements Corpus {

    private static final JsonMapper JSON = new JsonMapper();

    /** Checks for null only: the file is looked at when it is read. */
    public JsonLinesCorpus {
        Objects.requireNonNull(file, "file is null");
        Objects.requireNonNull(field, "field is null");
    }

    @Override
    public Stream<Document> documents() throws IOException {
        CorpusFiles.requireFile(file);
        if (Files.size(file) == 0) {
            throw new CorpusException(file + " is empty; give a file with a JSON object on each line");
        }
        BufferedReader reader = new BufferedReader(
                new InputStreamReader(
                        Files.newInputStream(file),
                        StandardCharsets.UTF_8
                                .newDecoder()
                                .onMalformedInput(CodingErrorAction.REPORT)
                                .onUnmappableCharacter(CodingErrorAction.REPORT)),
                1 << 16);
        Iterator<Document> lines = new Lines(reader);
        return StreamSupport.stream(
                        Spliterators.spliteratorUnknownSize(lines, Spliterator.ORDERED | Spliterator.NONNULL), false)
                .onClose(() -> {
                    try {
                        reader.close();
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    private final class Lines implements Iterator<Document> {
        private final BufferedReader reader;
        private final Deque<String> ahead = new ArrayDeque<>(1);
        private long line;

        Lines(BufferedReader reader) {
            this.reader = reader;
        }

        @Override
        public boolean hasNext() {
            try {
                while (ahead.isEmpty()) {
                    String text = reader.readLine();
                    if (text == null) {
                        return false;
                    }
                    line++;
                    if (!text.isBlank()) {
                        ahead.add(text);
                    }
                }
                return true;
            } catch (IOException e) {
                throw new UncheckedIOException(new CorpusException(
                        file + " cannot be read after line " + line + ": " + e + "; is it UTF-8 and complete?", e));
            }
        }

        @Override
        public Document next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            String name = file + ":" + line;
            return new Document(name, text(name, ahead.remove()));
        }
    }

    private String text(String name, String line) {
        JsonNode node;
        try {
            node = JSON.readTree(line);
        } catch (JacksonException e) {
            throw new UncheckedIOException(new CorpusException(
                    name + " is not JSON: " + e.getOriginalMessage() + "; every line must be one object", e));
        }
        JsonNode text = node.path(field);
        if (!text.isString()) {
            throw new UncheckedIOException(new CorpusException(name + " has no text in the field '" + field
                    + "'; its fields are " + node.propertyNames() + ", set the field key"));
        }
        return text.stringValue();
    }

    @Override
    public String fingerprint() throws IOException {
        CorpusFiles.requireFile(file);
        Fingerprint fingerprint = new Fingerprint().add("json-lines").add(field);
        CorpusFiles.addTo(fingerprint, file.getFileName().toString(), file);
        return fingerprint.hex();
    }
}
