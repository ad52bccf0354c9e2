package io.mor.testkit;

import io.mor.api.backend.Backend;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Runs one kernel over many shapes: against its formula, against the reference backend, again (determinism), counted against exact,
 * and with its rows alone, in the opposite order and among others (row independence, bit for bit).
 */
public final class KernelCheck {

    private static final List<Batch> BATCHES = List.of(
            Batch.exact(0),
            Batch.exact(1),
            Batch.exact(2),
            Batch.exact(7),
            Batch.exact(37),
            Batch.counted(0, 0),
            Batch.counted(0, 5),
            Batch.counted(3, 7),
            Batch.counted(7, 7),
            Batch.counted(13, 64));

    private final KernelBench bench;
    /** Columns for which a backend keeps what layers make in the least precision that it has. */
    static final int WIDE = 1 << 12;

    private int[] columns = {1, 2, 3, 8, 17, 67, 72};
    private List<Batch> batches = BATCHES;
    private boolean bothWays;
    private boolean rowByRow = true;

    KernelCheck(KernelBench bench) {
        this.bench = bench;
    }

    /** Calls of a kernel on the operands of a run. */
    @FunctionalInterface
    public interface Program {
        /** Makes operands, calls the kernel, states what is expected. */
        void run(KernelRun run);
    }

    /** The columns to test with, instead of 1, 2, 3, 8, 17, 67 and 72. */
    public KernelCheck columns(int... counts) {
        columns = counts.clone();
        return this;
    }

    /** The batches to test with, instead of 0 to 37 rows, exact and counted. */
    public KernelCheck batches(Batch... given) {
        batches = List.of(given);
        return this;
    }

    /** Once replacing the result and once adding to it. */
    public KernelCheck bothWays() {
        bothWays = true;
        return this;
    }

    /** For kernels that reduce over rows, or whose rows belong together: no row alone. */
    public KernelCheck wholeBatch() {
        rowByRow = false;
        return this;
    }

    /** Runs the checks. */
    public void check(Program program) {
        for (int width : columns) {
            for (Batch batch : batches) {
                check(program, width, batch, false);
                if (bothWays) {
                    check(program, width, batch, true);
                }
            }
        }
    }

    private void check(Program program, int width, Batch batch, boolean accumulate) {
        List<KernelRun.Result> results = run(program, bench.subject(), width, batch, accumulate);
        String place = " with " + width + " columns, " + batch + (accumulate ? ", accumulating" : "");
        compare(run(program, bench.reference(), width, batch, accumulate), results, place);
        if (bench.deterministic()) {
            sameBits(
                    "a second call",
                    results,
                    batch,
                    run(program, bench.subject(), width, batch, accumulate),
                    batch,
                    place,
                    false);
        }
        if (!rowByRow || !bench.rowIndependent() || batch.rows() == 0) {
            return;
        }
        for (Batch other : List.of(batch.reversed(), batch.amongOthers(), Batch.exact(batch.rows()))) {
            sameBits(
                    "a call of " + other,
                    results,
                    batch,
                    run(program, bench.subject(), width, other, accumulate),
                    other,
                    place,
                    true);
        }
        for (int row : new int[] {0, batch.rows() / 2, batch.rows() - 1}) {
            Batch alone = Batch.of(batch.identities()[row]);
            sameBits(
                    "its row alone",
                    results,
                    batch,
                    run(program, bench.subject(), width, alone, accumulate),
                    alone,
                    place,
                    true);
        }
    }

    private List<KernelRun.Result> run(Program program, Backend backend, int width, Batch batch, boolean accumulate) {
        String place = " (" + width + " columns, " + batch + (accumulate ? ", accumulating" : "") + ", "
                + backend.description() + ")";
        try (KernelRun run = new KernelRun(
                backend,
                bench.subject().activationPrecision(WIDE),
                bench.tolerance(backend),
                batch,
                width,
                accumulate)) {
            program.run(run);
            return run.results();
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError(e.getMessage() + place, e);
        }
    }

    private void compare(List<KernelRun.Result> expected, List<KernelRun.Result> actual, String place) {
        for (int i = 0; i < expected.size(); i++) {
            KernelRun.Result wanted = expected.get(i);
            double[] found = actual.get(i).values();
            for (int j = 0; j < found.length; j++) {
                if (!KernelRun.close(
                        wanted.values()[j],
                        found[j],
                        bench.tolerance(bench.subject()).of(wanted.terms()))) {
                    throw new AssertionError(String.format(
                            Locale.ROOT,
                            "%s[%d, %d] is %.9g, the reference says %.9g%s",
                            wanted.name(),
                            j / wanted.columns(),
                            j % wanted.columns(),
                            found[j],
                            wanted.values()[j],
                            place));
                }
            }
        }
    }

    /** Compares rows by identity; results that are not per row too, unless only rows are asked for. */
    private static void sameBits(
            String what,
            List<KernelRun.Result> first,
            Batch batch,
            List<KernelRun.Result> second,
            Batch other,
            String place,
            boolean rowsOnly) {
        Map<Integer, Integer> rowOf = new HashMap<>();
        int[] identities = other.identities();
        IntStream.range(0, other.rows()).forEach(row -> rowOf.put(identities[row], row));
        for (int i = 0; i < first.size(); i++) {
            KernelRun.Result result = first.get(i);
            if (!result.perRow()) {
                if (!rowsOnly && !Arrays.equals(result.values(), second.get(i).values())) {
                    throw new AssertionError(result.name() + place + " has other bits in " + what);
                }
                continue;
            }
            int width = result.columns();
            for (int row = 0; row < batch.rows(); row++) {
                Integer place2 = rowOf.get(batch.identities()[row]);
                if (place2 == null) {
                    continue;
                }
                double[] here = Arrays.copyOfRange(result.values(), row * width, (row + 1) * width);
                double[] there = Arrays.copyOfRange(second.get(i).values(), place2 * width, (place2 + 1) * width);
                if (!Arrays.equals(here, there)) {
                    throw new AssertionError(String.format(
                            "%s row %d%s has other bits in %s: %s, %s",
                            result.name(), row, place, what, Arrays.toString(here), Arrays.toString(there)));
                }
            }
        }
    }
}
