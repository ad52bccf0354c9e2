package io.mor.testkit;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The rows of one kernel call. A row's operands depend on its identity, not on its place, so that the same row can be computed in several
 * calls and compared.
 *
 * @param identities one number per row in use, each different
 * @param bound rows of memory, at least the rows in use
 * @param counted whether the number of rows in use is told by a count on the device; if not, the bound equals it
 */
public record Batch(int[] identities, int bound, boolean counted) {

    /** Copies the identities and checks that they fit. */
    public Batch {
        identities = identities.clone();
        if (counted ? identities.length > bound : identities.length != bound) {
            throw new IllegalArgumentException(identities.length + " rows do not fit a bound of " + bound);
        }
    }

    /** Rows 0 to n - 1 with an exact extent. */
    public static Batch exact(int n) {
        return new Batch(IntStream.range(0, n).toArray(), n, false);
    }

    /** Rows 0 to n - 1 with a counted extent. */
    public static Batch counted(int n, int bound) {
        return new Batch(IntStream.range(0, n).toArray(), bound, true);
    }

    /** The given rows with an exact extent. */
    public static Batch of(int... identities) {
        return new Batch(identities, identities.length, false);
    }

    /** The rows in use. */
    public int rows() {
        return identities.length;
    }

    @Override
    public int[] identities() {
        return identities.clone();
    }

    /** The same rows in the opposite order. */
    Batch reversed() {
        int[] reversed =
                IntStream.range(0, rows()).map(i -> identities[rows() - 1 - i]).toArray();
        return new Batch(reversed, bound, counted);
    }

    /** The same rows after and before others, counted, with room at the end. */
    Batch amongOthers() {
        IntStream before = IntStream.of(1001, 1002, 1003);
        int[] all = IntStream.concat(IntStream.concat(before, Arrays.stream(identities)), IntStream.of(1004, 1005))
                .toArray();
        return new Batch(all, all.length + 4, true);
    }

    @Override
    public String toString() {
        String shown =
                rows() <= 8 ? Arrays.toString(identities) : "[" + identities[0] + ", " + identities[1] + ", ...]";
        return (counted ? rows() + " of " + bound : "exactly " + rows()) + " rows " + shown;
    }
}
