package io.mor.cli;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Colours of terminals for the number of recursions a token took: cool for few, warm for many. Immutable. */
final class DepthColours {

    private static final List<Integer> PALETTE = List.of(39, 42, 220, 208, 196, 201); // of 256 colours, blue to red
    private static final String RESET = "\u001b[0m";

    private final int recursions;

    /** Colours for a model of so many recursions. */
    DepthColours(int recursions) {
        this.recursions = recursions;
    }

    /** The text in the colour of its depth, from 1. */
    String paint(String text, int depth) {
        return text.isEmpty() ? text : "\u001b[38;5;" + colour(depth) + "m" + text + RESET;
    }

    private int colour(int depth) {
        int last = PALETTE.size() - 1;
        int steps = Math.max(1, recursions - 1);
        return PALETTE.get(Math.clamp((long) (depth - 1) * last / steps, 0, last));
    }

    /** What the colours mean. */
    String legend() {
        return "depth "
                + IntStream.rangeClosed(1, recursions)
                        .mapToObj(depth -> paint(Integer.toString(depth), depth))
                        .collect(Collectors.joining(" "));
    }
}
