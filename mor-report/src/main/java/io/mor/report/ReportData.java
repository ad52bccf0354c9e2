package io.mor.report;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.DepthHistogram;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.SampleToken;
import io.mor.study.StudyResults.TextSample;
import io.mor.study.StudyResults.Trial;
import java.math.BigDecimal;
import java.math.MathContext;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * What the page's program reads: the study as JSON, with everything decided that is a matter of figures (ranks, spread, what exceeds it) and nothing
 * that is a matter of looks.
 */
final class ReportData {

    private static final JsonMapper MAPPER = JsonMapper.builder().build();
    private static final YAMLMapper YAML = YAMLMapper.builder().build();
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm 'UTC'", Locale.ROOT).withZone(ZoneOffset.UTC);

    /** Loss of training, as training records it. */
    private static final String TRAINING_LOSS = "cross-entropy";

    /** Enough for a line across a screen; less where there are many lines. */
    private static final int POINTS = 240;

    private static final int POINTS_OF_ALL_CURVES = 16_000;
    private static final int FEWEST_POINTS = 40;

    /** Of how many variants pairs are compared, and texts are shown. */
    private static final int PAIRS = 24;

    private static final int VARIANTS_WITH_TEXT = 32;

    private static final MathContext FIGURE_DIGITS = new MathContext(12);
    private static final MathContext CURVE_DIGITS = new MathContext(7);
    private static final MathContext SCORE_DIGITS = new MathContext(4);

    /** Plans whose costs are this near to each other count as equal: step counts are whole. */
    private static final double HELD_EQUAL = 0.01;

    private final StudyResults results;
    private final ReportOptions options;
    private final List<Variant> variants;
    private final Optional<Spread> spread;
    private final List<String> axes;
    private final Map<String, Trial> byId = new HashMap<>();
    private final Map<String, Integer> places = new HashMap<>();

    ReportData(StudyResults results, ReportOptions options) {
        this.results = results;
        this.options = options;
        this.variants = Variant.ranked(results);
        this.spread = Spread.of(variants.stream().map(Variant::losses).toList());
        this.axes = results.trials().stream()
                .flatMap(trial -> trial.axes().keySet().stream())
                .distinct()
                .toList();
        for (Trial trial : results.trials()) {
            places.put(trial.id(), places.size());
            byId.put(trial.id(), trial);
        }
    }

    /** On one line, without any {@code <}, so that it can stand in a script element. */
    String json() {
        ObjectNode page = MAPPER.createObjectNode();
        page.put("name", results.study().name());
        page.put("definition", results.study().definition());
        page.put("description", description(results.study().definition()));
        page.put("created", time(results.study().created()));
        page.put("updated", time(results.study().updated()));
        page.put("generated", time(options.generated()));
        page.put("version", options.morVersion());
        options.command().ifPresent(command -> page.put("command", command));
        texts(page.putArray("axes"), axes);
        held(page.putArray("held"));
        spread.ifPresent(value -> page.putObject("spread")
                .put("pooled", value.pooled())
                .put("degrees", value.degrees())
                .put("quantile", value.quantile()));
        variants(page.putArray("variants"));
        pairs(page.putArray("pairs"));
        effects(page.putArray("effects"));
        trials(page.putArray("trials"));
        samples(page.putArray("samples"));
        configs(page.putObject("configs"));
        environment(page.putArray("environment"));
        return MAPPER.writeValueAsString(page).replace("<", "\\u003c");
    }

    /** What the study file says of itself; nothing where it is of another form. */
    private static String description(String definition) {
        try {
            return YAML.readTree(definition).path("description").asString("");
        } catch (JacksonException e) {
            return "";
        }
    }

    private static String time(Instant instant) {
        return TIME.format(instant);
    }

    private static void texts(ArrayNode array, Iterable<String> texts) {
        texts.forEach(array::add);
    }

    /** What every training was planned with the same of. */
    private void held(ArrayNode held) {
        List<Plan> plans = results.trials().stream()
                .filter(trial -> trial.kind() == StudyResults.Kind.TRAINING)
                .map(Trial::plan)
                .toList();
        Map<String, ToDoubleFunction<Plan>> costs = new LinkedHashMap<>();
        costs.put("steps", Plan::steps);
        costs.put("tokens", Plan::tokens);
        costs.put("model FLOPs", Plan::modelFlops);
        costs.put("paper FLOPs", Plan::paperFlops);
        costs.put("unique parameters", Plan::parameters);
        costs.forEach((name, cost) -> {
            double low = plans.stream().mapToDouble(cost).min().orElse(0);
            double high = plans.stream().mapToDouble(cost).max().orElse(0);
            if (low > 0 && high <= low * (1 + HELD_EQUAL)) {
                held.addObject().put("name", name).put("value", plain((low + high) / 2));
            }
        });
    }

    private void variants(ArrayNode array) {
        for (int number = 0; number < variants.size(); number++) {
            Variant variant = variants.get(number);
            ObjectNode node = array.addObject();
            node.put("number", number);
            node.put("label", variant.name().isBlank() ? "the base config" : variant.name());
            ArrayNode values = node.putArray("values");
            for (String axis : axes) {
                values.add(variant.trials().getFirst().axes().get(axis));
            }
            ArrayNode trials = node.putArray("trials");
            variant.trials().forEach(trial -> trials.add(places.get(trial.id())));
            ObjectNode figures = node.putObject("figures");
            FIGURES.forEach((name, figure) ->
                    variant.mean(trial -> figure.of(this, trial)).ifPresent(value -> figures.put(name, plain(value))));
            if (variant.isRanked()) {
                ranked(node, variant, number);
            }
        }
    }

    private void ranked(ObjectNode node, Variant variant, int number) {
        Variant best = variants.getFirst();
        node.put("rank", number + 1);
        ObjectNode loss = node.putObject("loss");
        loss.put("mean", variant.meanLoss());
        Spread.deviation(variant.losses()).ifPresent(deviation -> loss.put("spread", deviation));
        loss.put("count", variant.losses().size());
        ArrayNode seeds = loss.putArray("seeds");
        variant.losses().forEach(seeds::add);
        ObjectNode gap = node.putObject("gap");
        gap.put("difference", variant.meanLoss() - best.meanLoss());
        threshold(variant, best).ifPresent(value -> gap.put("threshold", value));
        gap.put("verdict", number == 0 ? "best" : verdict(variant, best));
    }

    private OptionalDouble threshold(Variant variant, Variant other) {
        return spread.isEmpty()
                ? OptionalDouble.empty()
                : OptionalDouble.of(spread.get()
                        .threshold(variant.losses().size(), other.losses().size()));
    }

    private String verdict(Variant variant, Variant other) {
        OptionalDouble threshold = threshold(variant, other);
        if (threshold.isEmpty()) {
            return "unknown";
        }
        return Math.abs(variant.meanLoss() - other.meanLoss()) > threshold.getAsDouble() ? "clear" : "within";
    }

    private void pairs(ArrayNode pairs) {
        List<Variant> shown =
                variants.stream().filter(Variant::isRanked).limit(PAIRS).toList();
        for (Variant row : shown) {
            ArrayNode cells = pairs.addArray();
            shown.forEach(column -> cells.add(verdict(row, column).equals("clear")));
        }
    }

    /** For each value of each axis the mean of the losses of the variants that have it. */
    private void effects(ArrayNode effects) {
        for (String axis : axes) {
            Map<String, List<Double>> losses = new LinkedHashMap<>();
            for (Trial trial : results.trials()) { // the order of the plan
                Optional.ofNullable(trial.axes().get(axis))
                        .ifPresent(value -> losses.computeIfAbsent(value, key -> new ArrayList<>()));
            }
            for (Variant variant : variants) {
                String value = variant.trials().getFirst().axes().get(axis);
                if (value != null && variant.isRanked()) {
                    losses.get(value).add(variant.meanLoss());
                }
            }
            ObjectNode effect = effects.addObject();
            effect.put("axis", axis);
            ArrayNode values = effect.putArray("values");
            losses.forEach((value, means) -> {
                if (!means.isEmpty()) {
                    values.addObject()
                            .put("value", value)
                            .put("mean", Spread.mean(means))
                            .put("variants", means.size());
                }
            });
        }
    }

    @FunctionalInterface
    private interface Figure {
        OptionalDouble of(ReportData report, Trial trial);
    }

    private static final Map<String, Figure> FIGURES = figures();

    private static Map<String, Figure> figures() {
        Map<String, Figure> figures = new LinkedHashMap<>();
        figures.put("full-sequence-loss", (report, trial) -> trial.figure(StudyResults.FULL_SEQUENCE_LOSS));
        figures.put("perplexity", (report, trial) -> trial.figure("validation-perplexity"));
        figures.put("bits-per-byte", (report, trial) -> trial.figure("validation-bits-per-byte"));
        figures.put("mean-depth", (report, trial) -> trial.figure("validation-mean-depth"));
        figures.put(
                "parameters",
                (report, trial) ->
                        or(trial.figure(StudyResults.PARAMETERS), trial.plan().parameters()));
        figures.put("model-flops", ReportData::modelFlops);
        figures.put("paper-flops", ReportData::paperFlops);
        figures.put(
                "kv-bytes-per-token",
                (report, trial) -> or(
                        trial.figure(StudyResults.KV_BYTES_PER_TOKEN),
                        trial.plan().kvBytesPerToken()));
        figures.put("decode-tokens-per-second", (report, trial) -> trial.figure(StudyResults.DECODING_RATE));
        figures.put("train-tokens-per-second", (report, trial) -> trial.figure(StudyResults.TRAINING_RATE));
        figures.put("seconds", ReportData::seconds);
        return figures;
    }

    private static OptionalDouble or(OptionalDouble measured, double planned) {
        return measured.isPresent() || planned <= 0 ? measured : OptionalDouble.of(planned);
    }

    /** The trial that trained the model: itself, or for an evaluation its parent. */
    private Trial trained(Trial trial) {
        return trial.parent().map(byId::get).orElse(trial);
    }

    private OptionalDouble modelFlops(Trial trial) {
        return spent(trial, Point::modelFlops, Plan::modelFlops);
    }

    private OptionalDouble paperFlops(Trial trial) {
        return spent(trial, Point::paperFlops, Plan::paperFlops);
    }

    private OptionalDouble seconds(Trial trial) {
        return spent(trial, Point::seconds, plan -> 0);
    }

    private OptionalDouble spent(Trial trial, ToDoubleFunction<Point> measured, ToDoubleFunction<Plan> planned) {
        Trial training = trained(trial);
        return or(last(training, measured), planned.applyAsDouble(training.plan()));
    }

    /** What a trial had spent when it last measured anything. */
    private static OptionalDouble last(Trial trial, ToDoubleFunction<Point> spent) {
        OptionalDouble most = trial.series().values().stream()
                .flatMap(List::stream)
                .mapToDouble(spent)
                .max();
        return most.isPresent() && most.getAsDouble() > 0 ? most : OptionalDouble.empty();
    }

    private void trials(ArrayNode array) {
        Map<String, Integer> numbers = new HashMap<>();
        Set<String> withDepths = new LinkedHashSet<>();
        for (int number = 0; number < variants.size(); number++) {
            numbers.put(variants.get(number).name(), number);
            variants.get(number).trials().stream()
                    .filter(trial -> !trial.depths().isEmpty())
                    .findFirst()
                    .ifPresent(trial -> withDepths.add(trial.id()));
        }
        int points =
                Math.clamp(POINTS_OF_ALL_CURVES / Math.max(1, results.trials().size()), FEWEST_POINTS, POINTS);
        for (Trial trial : results.trials()) {
            ObjectNode node = array.addObject();
            node.put("name", trial.id());
            node.put("variant", numbers.get(trial.variant()));
            node.put("seed", Long.toString(trial.seed()));
            node.put("state", trial.state().name().toLowerCase(Locale.ROOT));
            node.put("training", trial.kind() == StudyResults.Kind.TRAINING);
            node.put("cause", trial.failure().orElse(""));
            if (trial.kind() == StudyResults.Kind.TRAINING) {
                last(trial, Point::modelFlops).ifPresent(flops -> node.put("flops", plain(flops)));
                last(trial, Point::seconds).ifPresent(seconds -> node.put("seconds", plain(seconds)));
            }
            curve(node.putObject("train"), trial, TRAINING_LOSS, points);
            curve(node.putObject("validation"), trial, StudyResults.CAUSAL_LOSS, points);
            depth(node.putObject("depth"), withDepths.contains(trial.id()) ? trial.depths() : List.of(), points);
        }
    }

    private static void curve(ObjectNode node, Trial trial, String figure, int points) {
        Curve curve = new Curve(trial.series().getOrDefault(figure, List.of())).ofAtMost(points);
        numbers(node.putArray("step"), curve, point -> point.step() + 1); // steps that were done
        numbers(node.putArray("tokens"), curve, Point::tokens);
        numbers(node.putArray("flops"), curve, Point::modelFlops);
        numbers(node.putArray("seconds"), curve, Point::seconds);
        numbers(node.putArray("loss"), curve, Point::value);
    }

    private static void numbers(ArrayNode array, Curve curve, ToDoubleFunction<Point> figure) {
        curve.points().forEach(point -> array.add(rounded(figure.applyAsDouble(point), CURVE_DIGITS)));
    }

    private static void depth(ObjectNode node, List<DepthHistogram> depths, int points) {
        ArrayNode steps = node.putArray("step");
        ArrayNode shares = node.putArray("shares");
        int stride = Math.ceilDiv(Math.max(1, depths.size()), points);
        IntStream.range(0, depths.size())
                .filter(i -> (depths.size() - 1 - i) % stride == 0) // the last is always there
                .mapToObj(depths::get)
                .forEach(each -> {
                    steps.add(each.step() + 1);
                    ArrayNode row = shares.addArray();
                    each.shares().forEach(share -> row.add(rounded(share, CURVE_DIGITS)));
                });
    }

    private void samples(ArrayNode array) {
        for (int number = 0; number < Math.min(variants.size(), VARIANTS_WITH_TEXT); number++) {
            int variant = number;
            variants.get(number).trials().stream()
                    .filter(trial -> !trial.samples().isEmpty())
                    .findFirst()
                    .ifPresent(trial ->
                            trial.samples().forEach(sample -> sample(array.addObject(), variant, trial, sample)));
        }
    }

    private static void sample(ObjectNode node, int variant, Trial trial, TextSample sample) {
        node.put("variant", variant);
        node.put("title", sample.name() + ", seed " + trial.seed());
        node.put("recursions", recursions(trial, sample));
        ArrayNode tokens = node.putArray("tokens");
        for (SampleToken token : sample.tokens()) {
            ArrayNode parts = tokens.addArray();
            parts.add(token.text());
            parts.add(token.depth());
            ArrayNode scores = parts.addArray();
            token.scores().forEach(score -> scores.add(rounded(score, SCORE_DIGITS)));
        }
    }

    private static int recursions(Trial trial, TextSample sample) {
        int deepest =
                sample.tokens().stream().mapToInt(SampleToken::depth).max().orElse(1);
        int configured =
                trial.depths().isEmpty() ? 1 : trial.depths().getLast().shares().size() - 1;
        return Math.max(
                deepest, Math.max(configured, number(trial.configValues().get("model.recursions"))));
    }

    private static int number(String text) {
        try {
            return text == null ? 1 : Integer.parseInt(text);
        } catch (NumberFormatException e) {
            return 1;
        }
    }

    private void configs(ObjectNode node) {
        List<String> keys = results.trials().stream()
                .flatMap(trial -> trial.configValues().keySet().stream())
                .distinct()
                .filter(key -> variants.stream().noneMatch(variant -> variant.differsInside(key)))
                .toList();
        texts(node.putArray("keys"), keys);
        ArrayNode values = node.putArray("values");
        for (Variant variant : variants) {
            ArrayNode row = values.addArray();
            keys.forEach(key -> row.add(variant.configValue(key).orElse(null)));
        }
    }

    /** For each thing that is known of where trials ran, its values and how many trials had each. */
    private void environment(ArrayNode array) {
        Map<String, Map<String, Integer>> found = new LinkedHashMap<>();
        for (Trial trial : results.trials()) {
            trial.environment()
                    .forEach((name, value) -> found.computeIfAbsent(name, key -> new LinkedHashMap<>())
                            .merge(value, 1, Integer::sum));
        }
        found.forEach((name, counts) -> {
            ObjectNode node = array.addObject();
            node.put("name", name);
            ArrayNode values = node.putArray("values");
            counts.forEach(
                    (value, trials) -> values.addObject().put("value", value).put("trials", trials));
        });
    }

    /** A figure to 12 digits. */
    private static BigDecimal plain(double value) {
        return rounded(value, FIGURE_DIGITS);
    }

    /** A number that is none becomes null. */
    private static BigDecimal rounded(double value, MathContext digits) {
        if (!Double.isFinite(value)) {
            return null;
        }
        BigDecimal rounded = new BigDecimal(value).round(digits).stripTrailingZeros();
        return rounded.scale() < 0 && rounded.precision() - rounded.scale() <= 15 ? rounded.setScale(0) : rounded;
    }
}
