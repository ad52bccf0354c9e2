package io.mor.study.run;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * Tells from the times of steps what a step takes on this machine when it is warm and nothing else is in the way. A JVM trains slowly at first: steps are
 * looked at in windows, until one is hardly faster than the one before. Of a window a quick step counts, not the mean: other work on the machine makes some
 * steps slow, none fast. One thread.
 */
final class StepTimes {

    private static final double WINDOW_SECONDS = 1;
    private static final int FEWEST_STEPS = 3;
    private static final double STILL_WARMING = 1.1;
    private static final double LONGEST_SECONDS = 15;

    private final List<Double> window = new ArrayList<>();
    private double inWindow;
    private double inAll;
    private double quickest = Double.POSITIVE_INFINITY;

    /**
     * Takes in a step.
     *
     * @param seconds that it took
     * @return the seconds of a step, once enough is known; nothing is to be taken in after that
     */
    OptionalDouble add(double seconds) {
        window.add(seconds);
        inWindow += seconds;
        inAll += seconds;
        boolean full = inWindow >= WINDOW_SECONDS && window.size() >= FEWEST_STEPS;
        boolean late = inAll >= LONGEST_SECONDS;
        if (!full && !late) {
            return OptionalDouble.empty();
        }
        double quick = window.stream().sorted().toList().get(window.size() / 4);
        boolean warm = quickest < Double.POSITIVE_INFINITY && quick * STILL_WARMING > quickest;
        quickest = Math.min(quickest, quick);
        window.clear();
        inWindow = 0;
        return warm || late ? OptionalDouble.of(quickest) : OptionalDouble.empty();
    }
}
