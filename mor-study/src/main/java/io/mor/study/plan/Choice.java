package io.mor.study.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What one point of an axis sets.
 *
 * @param label what it is called in tables
 * @param assignments the keys it sets
 */
record Choice(String label, List<Assignment> assignments) {

    static final Choice NOTHING = new Choice("", List.of());

    Choice {
        assignments = List.copyOf(assignments);
    }

    /** A point that is called by its values. */
    static Choice of(List<Assignment> assignments) {
        return new Choice(assignments.stream().map(Assignment::label).collect(Collectors.joining(" ")), assignments);
    }

    /** Key to value, as texts. */
    Map<String, String> axes() {
        Map<String, String> axes = new LinkedHashMap<>();
        assignments.forEach(assignment -> axes.put(assignment.key(), assignment.text()));
        return axes;
    }

    /** Both, the other's keys winning. */
    Choice and(Choice other) {
        List<Assignment> all = new ArrayList<>(assignments);
        all.addAll(other.assignments);
        return new Choice((label + " " + other.label).strip(), all);
    }

    /** Whether it sets everything that another sets, to the same. */
    boolean contains(Choice other) {
        return singles().entrySet().containsAll(other.singles().entrySet());
    }

    /** {@code router: x} is short for {@code router: {type: x}}. */
    private Map<String, String> singles() {
        Map<String, String> singles = new LinkedHashMap<>();
        Assignment.singleKeys(assignments)
                .forEach(single -> singles.put(single.key().replaceAll("\\.type$", ""), single.text()));
        return singles;
    }
}
