package io.mor.report;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** What the ranking must say, worked out a second time from the definition, as texts. */
record ReportFigures(List<String> means, List<String> spreads, List<String> verdicts) {

    private static final double QUANTILE_OF_14_DEGREES = 2.145;

    static ReportFigures of(StudyResults results) {
        Map<String, List<Double>> losses = results.trials().stream()
                .filter(trial -> trial.state() == State.DONE)
                .collect(Collectors.groupingBy(
                        Trial::variant,
                        LinkedHashMap::new,
                        Collectors.mapping(trial -> trial.causalLoss().orElseThrow(), Collectors.toList())));
        List<List<Double>> ranked = losses.values().stream()
                .sorted(Comparator.comparingDouble(ReportFigures::mean))
                .toList();
        double squares = ranked.stream().mapToDouble(ReportFigures::squares).sum();
        int degrees = ranked.stream().mapToInt(each -> each.size() - 1).sum();
        if (degrees != 14) {
            throw new IllegalStateException("the quantile is of 14 degrees of freedom, the sample has " + degrees);
        }
        double pooled = Math.sqrt(squares / degrees);
        List<Double> best = ranked.getFirst();
        return new ReportFigures(
                ranked.stream().map(each -> text("%.4f", mean(each))).toList(),
                ranked.stream()
                        .map(each -> each.size() < 2
                                ? "one seed"
                                : text("± %.4f", Math.sqrt(squares(each) / (each.size() - 1))))
                        .toList(),
                ranked.stream()
                        .map(each -> {
                            double error = pooled * Math.sqrt(1.0 / each.size() + 1.0 / best.size());
                            return each == best
                                    ? "the best"
                                    : mean(each) - mean(best) > QUANTILE_OF_14_DEGREES * error
                                            ? "yes"
                                            : "no, within it";
                        })
                        .toList());
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    private static double mean(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).sum() / values.size();
    }

    private static double squares(List<Double> values) {
        return values.stream()
                .mapToDouble(value -> Math.pow(value - mean(values), 2))
                .sum();
    }
}
