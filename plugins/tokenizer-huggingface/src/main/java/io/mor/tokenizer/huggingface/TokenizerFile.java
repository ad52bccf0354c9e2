package io.mor.tokenizer.huggingface;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * What a {@code tokenizer.json} says of its ids.
 *
 * @param file where it is
 * @param json its text
 * @param tokens by id, empty where an id has no token
 * @param special ids that mark something and have no text
 * @param decoding how tokens become bytes
 * @param digest SHA-256 of the file, hexadecimal
 */
record TokenizerFile(
        Path file,
        String json,
        List<Optional<String>> tokens,
        Set<Integer> special,
        TokenDecoding decoding,
        String digest) {

    private static final List<String> USUAL_ENDS =
            List.of("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "[SEP]");

    static TokenizerFile read(Path path) throws IOException {
        Path file = Files.isDirectory(path) ? path.resolve("tokenizer.json") : path;
        if (!Files.isRegularFile(file)) {
            throw new IOException("no such tokenizer file: " + file.toAbsolutePath()
                    + "; set the path key to a tokenizer.json or its folder");
        }
        byte[] bytes = Files.readAllBytes(file);
        String json = new String(bytes, StandardCharsets.UTF_8);
        try {
            JsonObject root = JsonParser.parseString(json).getAsJsonObject();
            Map<Integer, String> tokens = new HashMap<>();
            readVocabulary(root.getAsJsonObject("model").get("vocab"), tokens);
            Set<Integer> special = new HashSet<>();
            if (root.get("added_tokens") instanceof JsonArray added) {
                for (JsonElement element : added) {
                    JsonObject token = element.getAsJsonObject();
                    int id = token.get("id").getAsInt();
                    tokens.put(id, token.get("content").getAsString());
                    if (token.has("special") && token.get("special").getAsBoolean()) {
                        special.add(id);
                    }
                }
            }
            int size =
                    tokens.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1) + 1;
            List<Optional<String>> byId = new ArrayList<>(size);
            for (int id = 0; id < size; id++) {
                byId.add(Optional.ofNullable(tokens.get(id)));
            }
            JsonElement decoder = root.has("decoder") ? root.get("decoder") : JsonNull.INSTANCE;
            return new TokenizerFile(
                    file, json, List.copyOf(byId), Set.copyOf(special), TokenDecoding.of(decoder), sha256(bytes));
        } catch (JsonParseException
                | IllegalStateException
                | NullPointerException
                | ClassCastException
                | NumberFormatException e) {
            throw new IOException(
                    file + " is not a tokenizer.json: " + e.getMessage() + "; get it again from where the model is", e);
        }
    }

    private static void readVocabulary(JsonElement vocabulary, Map<Integer, String> tokens) {
        if (vocabulary instanceof JsonArray pieces) { // Unigram: pairs of piece and score
            for (int id = 0; id < pieces.size(); id++) {
                tokens.put(id, pieces.get(id).getAsJsonArray().get(0).getAsString());
            }
        } else {
            vocabulary
                    .getAsJsonObject()
                    .entrySet()
                    .forEach(entry -> tokens.put(entry.getValue().getAsInt(), entry.getKey()));
        }
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** The id of the token that ends a text: the configured one, or what is found. */
    OptionalInt endOfText(String configured) throws IOException {
        if (configured.equals("none")) {
            return OptionalInt.empty();
        }
        if (!configured.isEmpty()) {
            OptionalInt id = idOf(configured);
            if (id.isEmpty()) {
                throw new IOException(file + " has no token '" + configured
                        + "'; set end-of-text to one of its special tokens " + specialTokens());
            }
            return id;
        }
        Optional<String> declared = declaredEnd();
        if (declared.isPresent() && idOf(declared.get()).isPresent()) {
            return idOf(declared.get());
        }
        return USUAL_ENDS.stream()
                .map(this::idOf)
                .filter(id -> id.isPresent() && special.contains(id.getAsInt()))
                .findFirst()
                .orElse(OptionalInt.empty());
    }

    private Optional<String> declaredEnd() throws IOException {
        Path config = file.resolveSibling("tokenizer_config.json");
        if (!Files.isRegularFile(config)) {
            return Optional.empty();
        }
        try {
            JsonElement end = JsonParser.parseString(Files.readString(config))
                    .getAsJsonObject()
                    .get("eos_token");
            if (end instanceof JsonObject object) {
                return Optional.of(object.get("content").getAsString());
            }
            return end == null || end.isJsonNull() ? Optional.empty() : Optional.of(end.getAsString());
        } catch (JsonParseException | IllegalStateException | NullPointerException e) {
            throw new IOException(
                    config + " is not a tokenizer config: " + e.getMessage() + "; mend it, or set end-of-text", e);
        }
    }

    private OptionalInt idOf(String token) {
        int id = tokens.indexOf(Optional.of(token));
        return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
    }

    private List<String> specialTokens() {
        return special.stream().sorted().map(id -> tokens.get(id).orElse("")).toList();
    }
}
