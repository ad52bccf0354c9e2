package io.mor.runtime.tape;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.runtime.memory.Region;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * The operations over a backend, with a tape: each records how gradients flow back through it, where one of its inputs wants any. With no
 * parameter gradients given nothing is recorded.
 *
 * <p>Thread safety: one thread, one call.
 */
public final class TapeOps implements Ops {

    private final Backend backend;
    private final Region region;
    private final boolean training;
    private final Recomputation recomputation;
    private final Gradients gradients;
    private final Set<Tensor> tracked = Collections.newSetFromMap(new IdentityHashMap<>());
    private final List<Runnable> tape = new ArrayList<>();
    private Optional<List<Tensor>> results = Optional.empty(); // of the layer that runs, if anyone asks

    /**
     * Operations of one call.
     *
     * @param region where results live
     * @param training whether dropout applies
     * @param parameterGradients for every parameter that wants a gradient, the tensor it is added to
     */
    public TapeOps(Region region, boolean training, Map<Tensor, Tensor> parameterGradients) {
        this(region, training, parameterGradients, Recomputation.NONE);
    }

    /**
     * As above.
     *
     * @param recomputation what is calculated again for gradients instead of kept; it changes no bit
     */
    public TapeOps(
            Region region, boolean training, Map<Tensor, Tensor> parameterGradients, Recomputation recomputation) {
        this.backend = region.backend();
        this.region = region;
        this.training = training;
        this.recomputation = recomputation;
        this.gradients = new Gradients(backend, region, parameterGradients);
        this.tracked.addAll(parameterGradients.keySet());
    }

    /** The backend below. */
    public Backend backend() {
        return backend;
    }

    /** Where results live. */
    public Region region() {
        return region;
    }

    /**
     * Runs the tape backwards from a scalar, adding to the parameters' gradients. Can be called once.
     *
     * @param loss {@code [1, 1]}
     * @param scale the gradient of the loss itself
     */
    public void backward(Tensor loss, double scale) {
        gradients.contribute(loss, (gradient, accumulate) -> backend.fill(gradient, scale));
        runBackward();
    }

    private void runBackward() {
        for (int i = tape.size() - 1; i >= 0; i--) {
            tape.get(i).run();
            tape.set(i, null); // lets what the closure holds go
        }
        tape.clear();
    }

    /** The gradient that has arrived at a tensor, for tests of operations. */
    public Optional<Tensor> gradientOf(Tensor tensor) {
        return gradients.of(tensor);
    }

    private Tensor result(Extent extent, int columns) {
        return region.allocateActivation(extent, columns);
    }

    private Tensor like(Tensor x) {
        return region.allocateActivation(x.extent(), x.columns());
    }

    /** For what is never kept in less than full precision: sums over rows, statistics. */
    private Tensor full(Extent extent, int columns) {
        return region.allocate(extent, columns);
    }

    private boolean tracks(Tensor x) {
        return tracked.contains(x);
    }

    private void track(Tensor result) {
        tracked.add(result);
        results.ifPresent(all -> all.add(result));
    }

    /** Runs a layer and tells all the results in it that want gradients, in their order. */
    private Layer watch(Tensor x, UnaryOperator<Tensor> layer) {
        Optional<List<Tensor>> outer = results;
        List<Tensor> own = new ArrayList<>();
        results = Optional.of(own);
        try {
            return new Layer(layer.apply(x), own);
        } finally {
            results = outer;
            outer.ifPresent(all -> all.addAll(own));
        }
    }

    /** What a layer made, and all that it made on the way. */
    private record Layer(Tensor out, List<Tensor> results) {}

    @Override
    public Tensor recomputable(Tensor x, UnaryOperator<Tensor> layer) {
        if (recomputation != Recomputation.LAYERS || tracked.isEmpty()) {
            return layer.apply(x);
        }
        int begin = tape.size();
        Layer first = watch(x, layer);
        tape.subList(begin, tape.size()).clear();
        tape.add(() -> {
            // results of the first run that others used, such as keys and values, have gradients too
            if (first.results().stream().allMatch(result -> gradients.of(result).isEmpty())) {
                return;
            }
            int again = tape.size();
            Layer second = watch(x, layer);
            for (int i = 0; i < first.results().size(); i++) {
                Tensor result = second.results().get(i);
                gradients.of(first.results().get(i)).ifPresent(gradient -> gradients.handOver(result, gradient));
            }
            for (int i = tape.size() - 1; i >= again; i--) {
                tape.remove(i).run();
            }
        });
        return first.out();
    }

    /** Records how the result's gradient flows back, if any input is tracked. */
    private Tensor record(Tensor result, Consumer<Tensor> backward, Tensor... inputs) {
        boolean wanted = false;
        for (Tensor input : inputs) {
            wanted |= tracks(input);
        }
        if (wanted) {
            track(result);
            tape.add(() -> gradients.of(result).ifPresent(backward));
        }
        return result;
    }

    private static void check(boolean fits, String operation, Tensor a, Tensor b) {
        if (!fits) {
            throw new IllegalArgumentException(operation + ": " + shape(a) + " and " + shape(b) + " do not fit");
        }
    }

    private static String shape(Tensor x) {
        return "[" + x.rows() + (x.extent().isExact() ? "" : " at most") + ", " + x.columns() + "]";
    }

    private static void checkSame(String operation, Tensor a, Tensor b) {
        check(a.rows() == b.rows() && a.columns() == b.columns(), operation, a, b);
    }

    private static void checkColumn(String operation, Tensor x, Tensor column) {
        check(column.columns() == 1 && column.rows() == x.rows(), operation, x, column);
    }

    private static void checkRow(String operation, Tensor x, Tensor row) {
        check(row.rows() == 1 && row.columns() == x.columns(), operation, x, row);
    }

    private static void checkIndex(String operation, IntTensor index, int rows) {
        if (index.length() < rows) {
            throw new IllegalArgumentException(operation + ": " + index.length() + " indices for " + rows + " rows");
        }
    }

    @Override
    public Tensor linear(Tensor x, Tensor weight) {
        check(x.columns() == weight.columns(), "linear", x, weight);
        Tensor out = result(x.extent(), weight.rows());
        backend.matmul(out, x, false, weight, true, false);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.matmul(dx, dy, false, weight, false, add));
                    }
                    if (tracks(weight)) {
                        gradients.contribute(weight, (dw, add) -> backend.matmul(dw, dy, true, x, false, add));
                    }
                },
                x,
                weight);
    }

    @Override
    public Tensor add(Tensor a, Tensor b) {
        checkSame("add", a, b);
        Tensor out = like(a);
        backend.add(out, a, b, 1);
        return record(
                out,
                dy -> {
                    if (tracks(b)) {
                        gradients.add(b, dy);
                    }
                    if (tracks(a)) {
                        gradients.handOver(a, dy);
                    }
                },
                a,
                b);
    }

    @Override
    public Tensor subtract(Tensor a, Tensor b) {
        checkSame("subtract", a, b);
        Tensor out = like(a);
        backend.add(out, a, b, -1);
        return record(
                out,
                dy -> {
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.affine(db, dy, -1, 0, add));
                    }
                    if (tracks(a)) {
                        gradients.handOver(a, dy);
                    }
                },
                a,
                b);
    }

    @Override
    public Tensor multiply(Tensor a, Tensor b) {
        checkSame("multiply", a, b);
        Tensor out = like(a);
        backend.multiply(out, a, b, false);
        return record(
                out,
                dy -> {
                    if (tracks(a)) {
                        gradients.contribute(a, (da, add) -> backend.multiply(da, dy, b, add));
                    }
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.multiply(db, dy, a, add));
                    }
                },
                a,
                b);
    }

    @Override
    public Tensor affine(Tensor x, double scale, double shift) {
        Tensor out = like(x);
        backend.affine(out, x, scale, shift, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.affine(dx, dy, scale, 0, add)), x);
    }

    @Override
    public Tensor apply(Unary function, Tensor x) {
        Tensor out = like(x);
        backend.unary(out, function, x);
        return record(
                out,
                dy -> gradients.contribute(x, (dx, add) -> backend.unaryBackward(dx, function, x, out, dy, add)),
                x);
    }

    @Override
    public Tensor swiGlu(Tensor gate, Tensor up) {
        checkSame("swiGlu", gate, up);
        if (tracks(gate) != tracks(up)) {
            return Ops.super.swiGlu(gate, up);
        }
        Tensor out = like(gate);
        backend.swiGlu(out, gate, up);
        return record(
                out,
                dy -> {
                    Tensor dgate = like(gate);
                    Tensor dup = like(up);
                    backend.swiGluBackward(dgate, dup, gate, up, dy);
                    gradients.handOver(gate, dgate);
                    gradients.handOver(up, dup);
                },
                gate,
                up);
    }

    @Override
    public Tensor scaleRows(Tensor x, Tensor factors) {
        checkColumn("scaleRows", x, factors);
        Tensor out = like(x);
        backend.scaleRows(out, x, factors, false);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, dy, factors, add));
                    }
                    if (tracks(factors)) {
                        gradients.contribute(factors, (df, add) -> backend.rowDot(df, dy, x, add));
                    }
                },
                x,
                factors);
    }

    @Override
    public Tensor addRow(Tensor x, Tensor row) {
        checkRow("addRow", x, row);
        Tensor out = like(x);
        backend.addRow(out, x, row);
        return record(
                out,
                dy -> {
                    if (tracks(row)) {
                        gradients.contribute(row, (dr, add) -> backend.columnSum(dr, dy, 1, add));
                    }
                    if (tracks(x)) {
                        gradients.handOver(x, dy);
                    }
                },
                x,
                row);
    }

    @Override
    public Tensor multiplyRow(Tensor x, Tensor row) {
        checkRow("multiplyRow", x, row);
        Tensor out = like(x);
        backend.multiplyRow(out, x, row, false);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.multiplyRow(dx, dy, row, add));
                    }
                    if (tracks(row)) {
                        gradients.contribute(row, (dr, add) -> backend.columnDot(dr, dy, x, 1, add));
                    }
                },
                x,
                row);
    }

    @Override
    public Tensor dropout(Tensor x, double p, RandomKey key) {
        if (!training || p == 0) {
            return x;
        }
        Tensor numbers = full(x.extent(), x.columns());
        backend.uniform(numbers, key);
        Tensor mask = affine(compare(numbers, Comparison.AT_LEAST, p), 1 / (1 - p), 0);
        return multiply(x, mask);
    }

    @Override
    public Tensor rowSum(Tensor x) {
        Tensor out = result(x.extent(), 1);
        backend.rowSum(out, x, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastColumn(dx, dy, add)), x);
    }

    @Override
    public Tensor rowLogSumExp(Tensor x) {
        Tensor out = result(x.extent(), 1);
        backend.rowLogSumExp(out, x);
        return record(
                out,
                dy -> {
                    Tensor probabilities = like(x);
                    backend.softmax(probabilities, x);
                    gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, probabilities, dy, add));
                },
                x);
    }

    @Override
    public Tensor rowDot(Tensor a, Tensor b) {
        checkSame("rowDot", a, b);
        Tensor out = result(a.extent(), 1);
        backend.rowDot(out, a, b, false);
        return record(
                out,
                dy -> {
                    if (tracks(a)) {
                        gradients.contribute(a, (da, add) -> backend.scaleRows(da, b, dy, add));
                    }
                    if (tracks(b)) {
                        gradients.contribute(b, (db, add) -> backend.scaleRows(db, a, dy, add));
                    }
                },
                a,
                b);
    }

    @Override
    public Tensor softmax(Tensor x) {
        Tensor out = like(x);
        backend.softmax(out, x);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.softmaxBackward(dx, out, dy, add)), x);
    }

    @Override
    public Tensor columnSum(Tensor x) {
        Tensor out = full(Extent.exact(1), x.columns());
        backend.columnSum(out, x, 1, false);
        return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, dy, 1, add)), x);
    }

    @Override
    public Tensor columnMean(Tensor x) {
        Tensor out = full(Extent.exact(1), x.columns());
        if (x.extent().isExact()) {
            double scale = 1.0 / Math.max(1, x.rows());
            backend.columnSum(out, x, scale, false);
            return record(out, dy -> gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, dy, scale, add)), x);
        }
        Tensor reciprocal = result(Extent.exact(1), 1);
        backend.reciprocalCount(reciprocal, x.extent());
        Tensor sum = full(Extent.exact(1), x.columns());
        backend.columnSum(sum, x, 1, false);
        backend.scaleRows(out, sum, reciprocal, false);
        return record(
                out,
                dy -> {
                    Tensor scaled = full(Extent.exact(1), x.columns());
                    backend.scaleRows(scaled, dy, reciprocal, false);
                    gradients.contribute(x, (dx, add) -> backend.broadcastRow(dx, scaled, 1, add));
                },
                x);
    }

    @Override
    public Tensor gatherRows(Tensor x, IntTensor index, Extent extent) {
        checkIndex("gatherRows", index, extent.bound());
        Tensor out = result(extent, x.columns());
        backend.gatherRows(out, x, index, false);
        return record(out, dy -> backend.scatterAddRows(gradients.added(x), index, dy), x);
    }

    @Override
    public Tensor gatherRows(Tensor x, Rows rows) {
        checkIndex("gatherRows", rows.index(), rows.extent().bound());
        Tensor out = result(rows.extent(), x.columns());
        backend.gatherRows(out, x, rows.index(), false);
        return record(
                out,
                dy -> {
                    Tensor dx = gradients.added(x);
                    backend.addToRows(dx, dx, rows.index(), dy, Optional.empty());
                },
                x);
    }

    @Override
    public Tensor replaceRows(Tensor base, IntTensor index, Tensor x) {
        check(base.columns() == x.columns(), "replaceRows", base, x);
        checkIndex("replaceRows", index, x.rows());
        Tensor out = like(base);
        backend.copy(out, base);
        backend.scatterRows(out, index, x);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.gatherRows(dx, dy, index, add));
                    }
                    if (tracks(base)) {
                        Tensor zeros = like(x);
                        backend.fill(zeros, 0);
                        backend.scatterRows(dy, index, zeros);
                        gradients.handOver(base, dy);
                    }
                },
                base,
                x);
    }

    @Override
    public Tensor addToRows(Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        check(base.columns() == x.columns(), "addToRows", base, x);
        checkIndex("addToRows", index, x.rows());
        gate.ifPresent(g -> checkColumn("addToRows", x, g));
        Tensor out = like(base);
        backend.addToRows(out, base, index, x, gate);
        return record(
                out,
                dy -> {
                    if (tracks(x) || gate.isPresent() && tracks(gate.get())) {
                        Tensor dyRows = like(x);
                        backend.gatherRows(dyRows, dy, index, false);
                        if (gate.isPresent()) {
                            if (tracks(gate.get())) {
                                gradients.contribute(gate.get(), (dg, add) -> backend.rowDot(dg, dyRows, x, add));
                            }
                            if (tracks(x)) {
                                gradients.contribute(x, (dx, add) -> backend.scaleRows(dx, dyRows, gate.get(), add));
                            }
                        } else {
                            gradients.handOver(x, dyRows);
                        }
                    }
                    if (tracks(base)) {
                        gradients.handOver(base, dy);
                    }
                },
                gate.isPresent() ? new Tensor[] {base, x, gate.get()} : new Tensor[] {base, x});
    }

    @Override
    public Tensor pickColumn(Tensor x, IntTensor column) {
        checkIndex("pickColumn", column, x.rows());
        Tensor out = result(x.extent(), 1);
        backend.pickColumn(out, x, column);
        return record(out, dy -> backend.pickColumnBackward(gradients.added(x), column, dy), x);
    }

    @Override
    public Tensor sliceRows(Tensor x, int first, Extent extent) {
        if (first < 0 || first + extent.bound() > x.rows()) {
            throw new IllegalArgumentException(
                    "sliceRows: rows " + first + " to " + (first + extent.bound()) + " are not within " + shape(x));
        }
        Tensor out = backend.view(x, first, extent, x.columns());
        return record(
                out,
                dy -> {
                    Tensor part = backend.view(gradients.added(x), first, extent, x.columns());
                    backend.add(part, part, dy, 1);
                },
                x);
    }

    @Override
    public Tensor concatRows(List<Tensor> parts) {
        if (parts.size() == 1) {
            return parts.getFirst();
        }
        int rows = 0;
        for (Tensor part : parts) {
            if (!part.extent().isExact()) {
                throw new IllegalArgumentException(
                        "concatRows: " + shape(part) + " has a count that the host does not know");
            }
            check(part.columns() == parts.getFirst().columns(), "concatRows", parts.getFirst(), part);
            rows += part.rows();
        }
        int columns = parts.getFirst().columns();
        Tensor out = result(Extent.exact(rows), columns);
        int at = 0;
        for (Tensor part : parts) {
            backend.copy(backend.view(out, at, part.extent(), columns), part);
            at += part.rows();
        }
        return record(
                out,
                dy -> {
                    int first = 0;
                    for (Tensor part : parts) {
                        if (tracks(part)) {
                            gradients.add(part, backend.view(dy, first, part.extent(), columns));
                        }
                        first += part.rows();
                    }
                },
                parts.toArray(Tensor[]::new));
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        check(x.columns() == weight.columns(), "rmsNorm", x, weight);
        Tensor out = like(x);
        Tensor rstd = full(x.extent(), 1);
        backend.rmsNorm(out, rstd, x, weight, variant, epsilon);
        return record(out, dy -> normBackward(x, weight, variant, rstd, dy), x, weight);
    }

    @Override
    public List<Tensor> normedLinears(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, List<Projection> projections) {
        check(x.columns() == weight.columns(), "normedLinears", x, weight);
        Tensor normed = like(x);
        Tensor rstd = full(x.extent(), 1);
        backend.rmsNorm(normed, rstd, x, weight, variant, epsilon);
        List<Tensor> made = new ArrayList<>();
        for (Projection projection : projections) {
            check(x.columns() == projection.weight().columns(), "normedLinears", x, projection.weight());
            projection.rotation().ifPresent(rotation -> checkIndex("rope", rotation.position(), x.rows()));
            made.add(result(x.extent(), projection.weight().rows()));
        }
        backend.linears(made, normed, projections);
        Stream<Tensor> inputs =
                Stream.concat(Stream.of(x, weight), projections.stream().map(Projection::weight));
        if (inputs.anyMatch(this::tracks)) {
            made.forEach(this::track);
            boolean again = recomputation == Recomputation.NORMS_AND_GATES;
            tape.add(() -> normedLinearsBackward(
                    x,
                    weight,
                    variant,
                    epsilon,
                    projections,
                    made,
                    rstd,
                    again ? Optional.empty() : Optional.of(normed)));
        }
        return List.copyOf(made);
    }

    private void normedLinearsBackward(
            Tensor x,
            Tensor weight,
            Optional<IntTensor> variant,
            double epsilon,
            List<Projection> projections,
            List<Tensor> made,
            Tensor rstd,
            Optional<Tensor> kept) {
        if (made.stream().allMatch(out -> gradients.of(out).isEmpty())) {
            return;
        }
        Tensor normed = kept.orElseGet(() -> like(x));
        if (kept.isEmpty()) {
            backend.rmsNorm(normed, rstd, x, weight, variant, epsilon);
        }
        List<Projection> reached = new ArrayList<>();
        List<Tensor> arrived = new ArrayList<>();
        List<Optional<Tensor>> dweights = new ArrayList<>();
        for (int i = 0; i < made.size(); i++) {
            Optional<Tensor> dy = gradients.of(made.get(i));
            if (dy.isPresent()) {
                Tensor projected = projections.get(i).weight();
                reached.add(projections.get(i));
                arrived.add(dy.get());
                dweights.add(tracks(projected) ? Optional.of(gradients.added(projected)) : Optional.empty());
            }
        }
        Tensor dnormed = like(x);
        backend.linearsBackward(dnormed, dweights, normed, reached, arrived);
        if (tracks(x) || tracks(weight)) {
            normBackward(x, weight, variant, rstd, dnormed);
        }
    }

    private void normBackward(Tensor x, Tensor weight, Optional<IntTensor> variant, Tensor rstd, Tensor dy) {
        Tensor dweight = tracks(weight) ? gradients.added(weight) : zeros(weight);
        gradients.contribute(x, (dx, add) -> backend.rmsNormBackward(dx, dweight, x, rstd, weight, variant, dy, add));
    }

    @Override
    public Tensor addLinear(Tensor base, Tensor x, Tensor weight) {
        check(x.columns() == weight.columns() && x.rows() == base.rows(), "addLinear", x, weight);
        check(base.columns() == weight.rows(), "addLinear", base, weight);
        Tensor out = like(base);
        backend.matmulAdd(out, base, x, false, weight, true);
        return record(
                out,
                dy -> {
                    if (tracks(x)) {
                        gradients.contribute(x, (dx, add) -> backend.matmul(dx, dy, false, weight, false, add));
                    }
                    if (tracks(weight)) {
                        gradients.contribute(weight, (dw, add) -> backend.matmul(dw, dy, true, x, false, add));
                    }
                    if (tracks(base)) {
                        gradients.handOver(base, dy);
                    }
                },
                base,
                x,
                weight);
    }

    @Override
    public Tensor addGatedLinear(Tensor base, Tensor gate, Tensor up, Tensor weight) {
        checkSame("addGatedLinear", gate, up);
        check(base.columns() == weight.rows() && gate.columns() == weight.columns(), "addGatedLinear", gate, weight);
        if (tracks(gate) != tracks(up)) {
            return Ops.super.addGatedLinear(base, gate, up, weight);
        }
        Tensor inner = like(gate);
        backend.swiGlu(inner, gate, up);
        Tensor out = like(base);
        backend.matmulAdd(out, base, inner, false, weight, true);
        boolean again = recomputation == Recomputation.NORMS_AND_GATES && tracks(gate);
        return record(
                out,
                dy -> {
                    Tensor seen = again ? like(gate) : inner;
                    if (tracks(gate)) {
                        Tensor dinner = like(gate);
                        backend.matmul(dinner, dy, false, weight, false, false);
                        Tensor dgate = like(gate);
                        Tensor dup = like(up);
                        if (again) {
                            backend.swiGluBackward(dgate, dup, seen, gate, up, dinner);
                        } else {
                            backend.swiGluBackward(dgate, dup, gate, up, dinner);
                        }
                        gradients.handOver(gate, dgate);
                        gradients.handOver(up, dup);
                    }
                    if (tracks(weight)) {
                        gradients.contribute(weight, (dw, add) -> backend.matmul(dw, dy, true, seen, false, add));
                    }
                    if (tracks(base)) {
                        gradients.handOver(base, dy);
                    }
                },
                base,
                gate,
                up,
                weight);
    }

    private Tensor zeros(Tensor like) {
        Tensor zeros = full(like.extent(), like.columns());
        backend.fill(zeros, 0);
        return zeros;
    }

    @Override
    public Tensor rope(Tensor x, IntTensor position, int headDim, double theta) {
        checkIndex("rope", position, x.rows());
        Tensor out = like(x);
        backend.rope(out, x, position, headDim, theta, false);
        return record(
                out,
                dy -> {
                    Tensor dx = like(x);
                    backend.rope(dx, dy, position, headDim, theta, true);
                    gradients.handOver(x, dx);
                },
                x);
    }

    @Override
    public Tensor attention(Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape) {
        check(queries.columns() == shape.queryWidth() && keys.columns() == shape.kvWidth(), "attention", queries, keys);
        checkSame("attention", keys, values);
        Tensor out = like(queries);
        Tensor logSumExp = full(queries.extent(), shape.heads());
        backend.attention(out, logSumExp, queries, keys, values, ranges, shape);
        return record(
                out,
                dy -> {
                    Tensor dq = like(queries);
                    gradients.contribute(
                            keys,
                            values,
                            (dk, dv, add) -> backend.attentionBackward(
                                    dq, dk, dv, queries, keys, values, out, logSumExp, dy, ranges, shape, add));
                    gradients.handOver(queries, dq);
                },
                queries,
                keys,
                values);
    }

    @Override
    public Tensor crossEntropy(Tensor logits, IntTensor target) {
        checkIndex("crossEntropy", target, logits.rows());
        Tensor out = result(logits.extent(), 1);
        backend.crossEntropy(out, logits, target);
        return record(
                out,
                dy -> {
                    Tensor dlogits = like(logits);
                    backend.crossEntropyBackward(dlogits, logits, target, dy);
                    gradients.handOver(logits, dlogits);
                },
                logits);
    }

    /** Per-row losses a chunk of rows at a time; for gradients the logits are computed again. */
    @Override
    public Tensor headCrossEntropy(Tensor rows, Tensor head, IntTensor target) {
        check(rows.columns() == head.columns(), "headCrossEntropy", rows, head);
        Tensor losses = full(rows.extent(), 1);
        forEachChunk(
                rows,
                head,
                target,
                (first, chunk, logits, targets) ->
                        backend.crossEntropy(backend.view(losses, first, chunk.extent(), 1), logits, targets));
        return record(
                losses,
                dy -> forEachChunk(rows, head, target, (first, chunk, logits, targets) -> {
                    backend.crossEntropyBackward(logits, logits, targets, backend.view(dy, first, chunk.extent(), 1));
                    headBackward(rows, head, first, chunk, logits);
                }),
                rows,
                head);
    }

    /**
     * The mean loss of a language model, {@code [1, 1]}. Its gradient is taken on the way forward, chunk by chunk, as if {@code scale} times it
     * were the only way in which it enters the total loss: so logits are computed once and never held whole.
     *
     * @param rows exact extent
     */
    public Tensor meanHeadCrossEntropy(Tensor rows, Tensor head, IntTensor target, double scale) {
        check(rows.columns() == head.columns() && rows.extent().isExact(), "meanHeadCrossEntropy", rows, head);
        Tensor losses = full(rows.extent(), 1);
        boolean wanted = tracks(rows) || tracks(head);
        Tensor dy = result(Extent.exact(Math.min(rows.rows(), rowsAtATime(head))), 1);
        backend.fill(dy, scale / Math.max(1, rows.rows()));
        forEachChunk(rows, head, target, (first, chunk, logits, targets) -> {
            Tensor loss = backend.view(losses, first, chunk.extent(), 1);
            if (wanted) {
                backend.crossEntropyGradient(loss, logits, targets, backend.view(dy, 0, chunk.extent(), 1));
                headBackward(rows, head, first, chunk, logits);
            } else {
                backend.crossEntropy(loss, logits, targets);
            }
        });
        return columnMean(losses);
    }

    @FunctionalInterface
    private interface HeadChunk {
        void accept(int first, Tensor rows, Tensor logits, IntTensor targets);
    }

    private int rowsAtATime(Tensor head) {
        return Math.clamp(backend.logitsAtATime() / head.rows(), 16, Integer.MAX_VALUE);
    }

    private void forEachChunk(Tensor rows, Tensor head, IntTensor target, HeadChunk body) {
        if (!rows.extent().isExact()) {
            throw new IllegalArgumentException(
                    "headCrossEntropy: " + shape(rows) + " has a count that the host does not know");
        }
        int step = Math.min(rows.rows(), rowsAtATime(head));
        if (step == 0) {
            return;
        }
        Tensor memory = result(Extent.exact(step), head.rows());
        for (int first = 0; first < rows.rows(); first += step) {
            Extent extent = Extent.exact(Math.min(step, rows.rows() - first));
            Tensor chunk = backend.view(rows, first, extent, rows.columns());
            Tensor logits = backend.view(memory, 0, extent, head.rows());
            backend.matmul(logits, chunk, false, head, true, false);
            body.accept(first, chunk, logits, backend.view(target, first, extent.bound()));
        }
    }

    private void headBackward(Tensor rows, Tensor head, int first, Tensor chunk, Tensor dlogits) {
        if (tracks(rows)) {
            Tensor drows = backend.view(gradients.added(rows), first, chunk.extent(), rows.columns());
            backend.matmul(drows, dlogits, false, head, false, true);
        }
        if (tracks(head)) {
            gradients.contribute(head, (dw, add) -> backend.matmul(dw, dlogits, true, chunk, false, add));
        }
    }

    @Override
    public Tensor detach(Tensor x) {
        return backend.view(x, 0, x.extent(), x.columns());
    }

    @Override
    public Tensor compare(Tensor x, Comparison comparison, Tensor row) {
        checkRow("compare", x, row);
        Tensor out = like(x);
        backend.compare(out, x, comparison, row);
        return out;
    }

    @Override
    public Tensor compare(Tensor x, Comparison comparison, double constant) {
        return compare(x, comparison, constant(Extent.exact(1), x.columns(), constant));
    }

    @Override
    public Tensor compareElements(Tensor a, Comparison comparison, Tensor b) {
        checkSame("compareElements", a, b);
        Tensor out = like(a);
        backend.compareElements(out, a, comparison, b);
        return out;
    }

    @Override
    public IntTensor argMax(Tensor x) {
        IntTensor out = region.allocateInts(x.rows());
        backend.argMax(out, x);
        return out;
    }

    @Override
    public Tensor toColumn(IntTensor values, Extent extent) {
        checkIndex("toColumn", values, extent.bound());
        Tensor out = result(extent, 1);
        backend.toColumn(out, values);
        return out;
    }

    @Override
    public IntTensor gatherInts(IntTensor table, IntTensor index, Extent extent) {
        checkIndex("gatherInts", index, extent.bound());
        IntTensor out = region.allocateInts(extent.bound());
        backend.gatherInts(out, table, index, extent);
        return out;
    }

    @Override
    public IntTensor ints(int... values) {
        return region.ints(values);
    }

    @Override
    public Tensor constant(Extent extent, int columns, double value) {
        Tensor out = result(extent, columns);
        backend.fill(out, value);
        return out;
    }

    @Override
    public Tensor uniformRows(RandomKey key, IntTensor high, IntTensor low, Extent extent) {
        Tensor out = result(extent, 1);
        backend.uniformRows(out, key, high, low);
        return out;
    }

    @Override
    public Tensor topKMask(Tensor scores, IntTensor offsets, IntTensor k) {
        Tensor out = like(scores);
        backend.topKMask(out, scores, offsets, k);
        return out;
    }

    @Override
    public Tensor reduceGroups(Reduction reduction, Tensor x, IntTensor offsets) {
        Tensor out = result(Extent.exact(offsets.length() - 1), 1);
        backend.reduceGroups(out, reduction, x, offsets);
        return out;
    }

    @Override
    public Rows compact(Tensor mask, Optional<Integer> exact) {
        IntTensor index = region.allocateInts(mask.rows());
        IntTensor count = region.allocateInts(1);
        backend.compact(index, count, mask);
        if (exact.isPresent()) {
            return new Rows(backend.view(index, 0, exact.get()), Extent.exact(exact.get()));
        }
        return new Rows(index, Extent.counted(mask.rows(), count));
    }
}
