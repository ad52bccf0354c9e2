package io.mor.runtime.conformance;

import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * The {@code config} of a golden case, refused where it says anything that is not known.
 *
 * @param model the model
 * @param kvCache id of the cache strategy
 * @param router the router's id and options, as a config would give them
 * @param selector id of the causal selector; empty where routing needs none
 * @param batch sequences
 * @param sequenceLength tokens of each
 * @param unboundedGate whether gates have no function, which widens the tolerance of logits
 */
record GoldenConfig(
        ModelConfig model,
        String kvCache,
        Optional<RouterOptions> router,
        Optional<String> selector,
        int batch,
        int sequenceLength,
        boolean unboundedGate) {

    /**
     * A router by id.
     *
     * @param id extension id
     * @param options its config
     */
    record RouterOptions(String id, Map<String, Object> options) {}

    private static final Set<String> KEYS = Set.of(
            "vocab",
            "hidden",
            "heads",
            "kv_heads",
            "ffn",
            "layers",
            "recursions",
            "sharing",
            "tied",
            "kv_cache",
            "batch",
            "seq",
            "router",
            "seed");
    private static final Set<String> EXPERT_KEYS = Set.of(
            "type",
            "architecture",
            "function",
            "alpha",
            "temperature",
            "gating",
            "coeff",
            "z_coeff",
            "capacity",
            "sampling");
    private static final Set<String> TOKEN_KEYS = Set.of(
            "type", "architecture", "function", "alpha", "temperature", "gating", "coeff", "z_coeff", "balancing");

    static GoldenConfig parse(JsonNode config, String where) {
        Reader reader = new Reader(config, where + ": config");
        reader.allow(KEYS);
        Sharing sharing =
                Sharing.valueOf(reader.choice("sharing", "none", "cycle", "sequence", "middle_cycle", "middle_sequence")
                        .toUpperCase(Locale.ROOT));
        ModelConfig model = new ModelConfig(
                reader.integer("vocab"),
                reader.integer("hidden"),
                reader.integer("layers"),
                reader.integer("heads"),
                reader.integer("kv_heads"),
                reader.integer("ffn"),
                reader.integer("seq"),
                sharing,
                reader.integer("recursions"),
                1,
                reader.bool("tied"),
                true,
                Initialization.RANDOM,
                0.02,
                1e-5,
                10000,
                0);
        String cache =
                reader.choice("kv_cache", "recursion_wise", "shared", "hybrid").replace('_', '-');
        Optional<RouterOptions> router = Optional.empty();
        Optional<String> selector = Optional.empty();
        boolean unbounded = false;
        if (config.has("router")) {
            Reader options = new Reader(config.get("router"), where + ": config.router");
            boolean expert =
                    options.choice("type", "expert_choice", "token_choice").equals("expert_choice");
            router = Optional.of(expert ? expert(options) : token(options));
            if (expert) {
                selector = Optional.of(
                        options.choice("sampling", "aux_loss", "aux_router").equals("aux_loss")
                                ? "logit-threshold"
                                : "auxiliary-router");
                unbounded =
                        options.choice("function", "sigmoid", "tanh", "none").equals("none");
            }
        }
        return new GoldenConfig(
                model, cache, router, selector, reader.integer("batch"), reader.integer("seq"), unbounded);
    }

    private static RouterOptions expert(Reader reader) {
        reader.allow(EXPERT_KEYS);
        Map<String, Object> options = common(reader);
        options.put("function", reader.choice("function", "sigmoid", "tanh", "none"));
        options.put(
                "sampling",
                reader.choice("sampling", "aux_loss", "aux_router").equals("aux_loss") ? "aux-loss" : "aux-router");
        options.put("capacity", reader.numbers("capacity"));
        return new RouterOptions("expert-choice", options);
    }

    private static RouterOptions token(Reader reader) {
        reader.allow(TOKEN_KEYS);
        Map<String, Object> options = common(reader);
        options.put("function", reader.choice("function", "softmax", "sigmoid"));
        options.put("balancing", reader.choice("balancing", "loss", "loss_free").replace('_', '-'));
        return new RouterOptions("token-choice", options);
    }

    private static Map<String, Object> common(Reader reader) {
        Map<String, Object> options = new LinkedHashMap<>();
        options.put(
                "architecture",
                reader.choice("architecture", "linear", "mlp", "wide_mlp").replace('_', '-'));
        options.put("alpha", reader.number("alpha"));
        options.put("temperature", reader.number("temperature"));
        options.put("gating", reader.node.has("gating") ? reader.choice("gating", "weighted", "additive") : "weighted");
        options.put("coefficient", reader.number("coeff"));
        options.put("z-coefficient", reader.node.has("z_coeff") ? reader.number("z_coeff") : 0.0);
        return options;
    }

    /** Reads values and refuses what it does not know by name. */
    private record Reader(JsonNode node, String where) {

        void allow(Set<String> keys) {
            for (String key : node.propertyNames()) {
                if (!keys.contains(key)) {
                    throw new GoldenCaseException(where + "." + key + ": unknown key; known are "
                            + keys.stream().sorted().toList());
                }
            }
        }

        private JsonNode required(String key) {
            if (!node.has(key)) {
                throw new GoldenCaseException(where + "." + key + " is missing");
            }
            return node.get(key);
        }

        int integer(String key) {
            JsonNode value = required(key);
            if (!value.isInt()) {
                throw new GoldenCaseException(where + "." + key + ": " + value + " is not a whole number");
            }
            return value.intValue();
        }

        double number(String key) {
            JsonNode value = required(key);
            if (!value.isNumber()) {
                throw new GoldenCaseException(where + "." + key + ": " + value + " is not a number");
            }
            return value.doubleValue();
        }

        boolean bool(String key) {
            JsonNode value = required(key);
            if (!value.isBoolean()) {
                throw new GoldenCaseException(where + "." + key + ": " + value + " is neither true nor false");
            }
            return value.booleanValue();
        }

        List<Double> numbers(String key) {
            List<Double> numbers = new ArrayList<>();
            for (JsonNode value : required(key)) {
                if (!value.isNumber()) {
                    throw new GoldenCaseException(where + "." + key + ": " + value + " is not a number");
                }
                numbers.add(value.doubleValue());
            }
            return numbers;
        }

        String choice(String key, String... known) {
            JsonNode value = required(key);
            if (!value.isString() || !List.of(known).contains(value.stringValue())) {
                throw new GoldenCaseException(
                        where + "." + key + ": " + value + " is unknown; known are " + List.of(known));
            }
            return value.stringValue();
        }
    }
}
