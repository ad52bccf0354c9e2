package io.mor.report;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * The trials that differ in their seed alone.
 *
 * @param name their variant
 * @param trials in the order of the plan, at least one
 * @param losses causal losses of those that are done, in the order of the plan
 */
record Variant(String name, List<Trial> trials, List<Double> losses) {

    Variant {
        trials = List.copyOf(trials);
        losses = List.copyOf(losses);
    }

    /** The variants of a study: ranked ones by mean causal loss, then those of which no trial is done, in the order of the plan. */
    static List<Variant> ranked(StudyResults results) {
        Map<String, List<Trial>> groups = new LinkedHashMap<>();
        for (Trial trial : results.trials()) {
            groups.computeIfAbsent(trial.variant(), name -> new ArrayList<>()).add(trial);
        }
        return groups.entrySet().stream()
                .map(group -> new Variant(group.getKey(), group.getValue(), losses(group.getValue())))
                .sorted(Comparator.comparingDouble(Variant::rankingLoss))
                .toList();
    }

    private static List<Double> losses(List<Trial> trials) {
        return trials.stream()
                .filter(trial -> trial.state() == State.DONE)
                .map(Trial::causalLoss)
                .filter(OptionalDouble::isPresent)
                .map(OptionalDouble::getAsDouble)
                .filter(Double::isFinite)
                .toList();
    }

    private double rankingLoss() {
        return losses.isEmpty() ? Double.POSITIVE_INFINITY : Spread.mean(losses);
    }

    /** Whether it has a loss. */
    boolean isRanked() {
        return !losses.isEmpty();
    }

    /** Mean of the causal losses; not a number without one. */
    double meanLoss() {
        return Spread.mean(losses);
    }

    /** The mean of a figure over the trials that are done and have it. */
    OptionalDouble mean(Function<Trial, OptionalDouble> figure) {
        return trials.stream()
                .filter(trial -> trial.state() == State.DONE)
                .map(figure)
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble)
                .average();
    }

    /** What all its trials have a key of the config at; empty if they differ or none has it. */
    Optional<String> configValue(String key) {
        List<String> values = trials.stream()
                .map(trial -> trial.configValues().get(key))
                .distinct()
                .toList();
        return values.size() == 1 ? Optional.ofNullable(values.getFirst()) : Optional.empty();
    }

    /** Whether a key of the config differs among its trials. */
    boolean differsInside(String key) {
        return trials.stream()
                        .map(trial -> Objects.toString(trial.configValues().get(key)))
                        .distinct()
                        .count()
                > 1;
    }
}
