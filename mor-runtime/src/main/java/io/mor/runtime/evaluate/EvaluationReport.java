package io.mor.runtime.evaluate;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * What an evaluation found.
 *
 * @param rows sequences, each of its own
 * @param tokens predicted
 * @param causal with the causal selection that generation uses; a model's honest figures
 * @param fullSequence with the selection of training, which sees later tokens: not causal, for comparison with published figures only
 * @param samplingAccuracy for every recursion at which the full-sequence selection was asked for: the share of its candidates about which the
 *     causal selector agrees with it (spec 2.9); empty if the full-sequence selection was not evaluated or no selector is there
 * @param seconds that it took
 */
public record EvaluationReport(
        long rows,
        long tokens,
        SelectionFigures causal,
        Optional<SelectionFigures> fullSequence,
        Map<Integer, Double> samplingAccuracy,
        double seconds) {

    /** Copies the map, in its order. */
    public EvaluationReport {
        samplingAccuracy = Collections.unmodifiableMap(new LinkedHashMap<>(samplingAccuracy));
    }

    /** The sampling accuracy averaged over recursions (spec 2.9), also over those that take everybody; empty if it was not measured. */
    public OptionalDouble meanSamplingAccuracy() {
        return samplingAccuracy.values().stream()
                .mapToDouble(Double::doubleValue)
                .average();
    }

    /** All figures by kebab-case name, as metric sinks take them; those of the full-sequence selection end with {@code -full-sequence}. */
    public Map<String, Double> figures() {
        Map<String, Double> all = new LinkedHashMap<>();
        add(all, causal, "");
        fullSequence.ifPresent(figures -> add(all, figures, "-full-sequence"));
        samplingAccuracy.forEach(
                (recursion, accuracy) -> all.put("validation-sampling-accuracy-" + recursion, accuracy));
        meanSamplingAccuracy().ifPresent(accuracy -> all.put("validation-sampling-accuracy", accuracy));
        return all;
    }

    private static void add(Map<String, Double> all, SelectionFigures figures, String suffix) {
        all.put("validation-loss" + suffix, figures.loss());
        all.put("validation-perplexity" + suffix, figures.perplexity());
        figures.bitsPerByte().ifPresent(bits -> all.put("validation-bits-per-byte" + suffix, bits));
        if (figures.recursions() > 1) {
            all.put("validation-mean-depth" + suffix, figures.meanDepth());
            for (int depth = 0; depth < figures.depthShares().size(); depth++) {
                all.put(
                        "validation-depth-share-" + depth + suffix,
                        figures.depthShares().get(depth));
            }
            all.put("validation-dead-token-ratio" + suffix, figures.deadTokenRatio());
            all.put("validation-max-vio" + suffix, figures.maxVio());
            all.put("validation-depth-entropy" + suffix, figures.depthEntropy());
        }
        figures.routerFigures().forEach((name, value) -> all.put("validation-router-" + name + suffix, value));
    }

    private record Line(String name, List<String> cells) {}

    /** The figures as a table for people, one line each, causal and full-sequence selection side by side. */
    public String table() {
        List<SelectionFigures> columns = new ArrayList<>(List.of(causal));
        fullSequence.ifPresent(columns::add);
        List<Line> lines = new ArrayList<>();
        lines.add(new Line(
                "selection",
                fullSequence.isPresent() ? List.of("causal", "full-sequence (not causal)") : List.of("causal")));
        lines.add(line("loss, nats/token", columns, figures -> number("%.4f", figures.loss())));
        lines.add(line("perplexity", columns, figures -> number("%.3f", figures.perplexity())));
        if (causal.bitsPerByte().isPresent()) {
            lines.add(line(
                    "bits/byte",
                    columns,
                    figures -> number("%.4f", figures.bitsPerByte().orElseThrow())));
        }
        if (causal.recursions() > 1) {
            lines.add(line(
                    "mean depth",
                    columns,
                    figures -> number("%.3f", figures.meanDepth())
                            + number(" of (Nr+1)/2 = %.1f", (figures.recursions() + 1) / 2.0)));
            for (int depth = 0; depth <= causal.recursions(); depth++) {
                int at = depth;
                if (columns.stream().anyMatch(figures -> figures.depthShares().get(at) > 0) || depth > 0) {
                    lines.add(line(
                            "tokens of depth " + depth,
                            columns,
                            figures -> percent(figures.depthShares().get(at))));
                }
            }
            lines.add(line("dead-token ratio", columns, figures -> percent(figures.deadTokenRatio())));
            lines.add(line("MaxVio of depths", columns, figures -> number("%.3f", figures.maxVio())));
            lines.add(line("entropy of depths", columns, figures -> number("%.4f", figures.depthEntropy())));
        }
        List<String> names = columns.stream()
                .flatMap(figures -> figures.routerFigures().keySet().stream())
                .distinct()
                .toList();
        for (String name : names) {
            lines.add(line(
                    "router: " + name,
                    columns,
                    figures -> figures.routerFigures().containsKey(name)
                            ? number("%.5f", figures.routerFigures().get(name))
                            : "-"));
        }
        samplingAccuracy.forEach((recursion, accuracy) ->
                lines.add(new Line("sampling accuracy, recursion " + recursion, List.of(percent(accuracy)))));
        meanSamplingAccuracy()
                .ifPresent(accuracy -> lines.add(new Line("sampling accuracy, mean", List.of(percent(accuracy)))));
        lines.add(new Line("rows, tokens", List.of(rows + ", " + tokens)));
        lines.add(new Line(
                "tokens/s of evaluation",
                List.of(seconds > 0 ? number("%.0f", tokens * columns.size() / seconds) : "-")));
        return render(lines);
    }

    private static Line line(String name, List<SelectionFigures> columns, Function<SelectionFigures, String> cell) {
        return new Line(name, columns.stream().map(cell).toList());
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    private static String percent(double share) {
        return number("%.2f %%", 100 * share);
    }

    private static String render(List<Line> lines) {
        int names = lines.stream().mapToInt(line -> line.name().length()).max().orElse(0);
        int first = lines.stream()
                .mapToInt(line -> line.cells().getFirst().length())
                .max()
                .orElse(0);
        StringBuilder text = new StringBuilder();
        for (Line line : lines) {
            String row = pad(line.name(), names) + "  " + pad(line.cells().getFirst(), first)
                    + (line.cells().size() > 1 ? "  " + line.cells().get(1) : "");
            text.append(row.stripTrailing()).append('\n');
        }
        return text.toString();
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(width - text.length());
    }
}
