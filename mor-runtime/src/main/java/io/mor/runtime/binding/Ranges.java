package io.mor.runtime.binding;

import io.mor.api.plugin.Range;
import java.math.BigDecimal;

/** What a {@link Range} means. */
public final class Ranges {

    private Ranges() {}

    static boolean contains(Range range, double value) {
        return (range.exclusiveMin() ? value > range.min() : value >= range.min()) && value <= range.max();
    }

    /** "at least 1", "more than 0 and at most 1". */
    public static String describe(Range range) {
        boolean bottom = range.min() != Double.NEGATIVE_INFINITY;
        boolean top = range.max() != Double.POSITIVE_INFINITY;
        String low = (range.exclusiveMin() ? "more than " : "at least ") + number(range.min());
        String high = "at most " + number(range.max());
        return bottom && top ? low + " and " + high : bottom ? low : top ? high : "any number";
    }

    private static String number(double value) {
        return Double.isInfinite(value)
                ? Double.toString(value)
                : new BigDecimal(Double.toString(value)).stripTrailingZeros().toPlainString();
    }
}
