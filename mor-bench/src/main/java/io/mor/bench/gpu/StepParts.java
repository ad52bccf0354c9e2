package io.mor.bench.gpu;

import io.mor.backend.cuda.KernelTime;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A step's time on the GPU by its parts, each beside what the card could do it in by the rates measured on it. */
final class StepParts {

    private enum Part {
        PRODUCTS("matrix products"),
        PRODUCTS_AND_PASSES("products and their passes"),
        ATTENTION("attention"),
        ELEMENTWISE("norms and element-wise"),
        HEAD("head and loss"),
        ROUTING("router, gather, scatter"),
        OPTIMIZER("optimizer");

        private final String title;

        Part(String title) {
            this.title = title;
        }
    }

    private static final class Sum {
        private double seconds;
        private double limit;
        private int calls;
    }

    private final Map<Part, Sum> sums = new EnumMap<>(Part.class);
    private final double bytesPerSecond;
    private final double operationsPerSecond;

    /**
     * @param bytesPerSecond that a copy reaches, read and written together
     * @param operationsPerSecond that a large product reaches
     */
    StepParts(double bytesPerSecond, double operationsPerSecond) {
        this.bytesPerSecond = bytesPerSecond;
        this.operationsPerSecond = operationsPerSecond;
    }

    /**
     * Adds what was measured.
     *
     * @param vocabulary by which products of the head are known
     * @param attentionOperations of the attention's products in the step, forward and backward
     */
    void add(List<KernelTime> times, int vocabulary, double attentionOperations) {
        for (KernelTime time : times) {
            Sum sum = sums.computeIfAbsent(partOf(time, vocabulary), part -> new Sum());
            sum.seconds += time.seconds();
            sum.calls += time.calls();
            sum.limit += Math.max(time.bytes() / bytesPerSecond, time.operations() / operationsPerSecond);
        }
        Sum attention = sums.get(Part.ATTENTION);
        if (attention != null) {
            attention.limit = attentionOperations / operationsPerSecond;
        }
    }

    private static Part partOf(KernelTime time, int vocabulary) {
        String name = time.kernel();
        if (name.startsWith("product")) {
            return name.matches(".*\\b" + vocabulary + "\\b.*") ? Part.HEAD : Part.PRODUCTS;
        }
        if (name.startsWith("hopper")) {
            return Part.PRODUCTS_AND_PASSES;
        }
        if (startsWithAny(name, "crossEntropy", "narrowLoss", "pickColumn")) {
            return Part.HEAD;
        }
        if (startsWithAny(name, "attention", "flash", "rangeBounds", "causalRanges")) {
            return Part.ATTENTION;
        }
        if (startsWithAny(name, "adamW", "squares", "addSquares", "clip", "fill", "narrowShadow")) {
            return Part.OPTIMIZER;
        }
        if (startsWithAny(
                name,
                "gather",
                "narrowGather",
                "scatter",
                "sort",
                "addSorted",
                "addToRows",
                "narrowAddToRows",
                "topK",
                "compact",
                "matmulNarrow",
                "reduceGroups",
                "rowDot",
                "toColumn",
                "unary",
                "compare")) {
            return Part.ROUTING;
        }
        return name.startsWith("matmul") || name.equals("addChunks") ? Part.PRODUCTS : Part.ELEMENTWISE;
    }

    private static boolean startsWithAny(String name, String... starts) {
        for (String start : starts) {
            if (name.startsWith(start)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Prints the table.
     *
     * @param step seconds of a step without measuring
     */
    void print(double step) {
        System.out.printf(Locale.ROOT, "  %-26s %9s %9s %9s %7s%n", "part", "ms", "limit ms", "of limit", "calls");
        double all = 0;
        for (Map.Entry<Part, Sum> entry : sums.entrySet()) {
            Sum sum = entry.getValue();
            all += sum.seconds;
            System.out.printf(
                    Locale.ROOT,
                    "  %-26s %9.2f %9.2f %8.0f%% %7d%n",
                    entry.getKey().title,
                    sum.seconds * 1e3,
                    sum.limit * 1e3,
                    100 * sum.limit / sum.seconds,
                    sum.calls);
        }
        System.out.printf(
                Locale.ROOT, "  %-26s %9.2f%n  %-26s %9.2f%n", "gaps", (step - all) * 1e3, "step", step * 1e3);
    }
}
