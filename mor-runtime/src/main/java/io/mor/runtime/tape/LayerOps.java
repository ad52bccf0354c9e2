package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.check;
import static io.mor.runtime.tape.Shapes.checkIndex;
import static io.mor.runtime.tape.Shapes.checkSame;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** The layers of a transformer, each as one step of the tape. */
final class LayerOps extends OperationFamily {

    private final Map<Tensor, Projected> projectedBy = new IdentityHashMap<>();

    LayerOps(Tape tape) {
        super(tape);
    }

    Tensor linear(Tensor x, Tensor weight) {
        check(x.columns() == weight.columns(), "linear", x, weight);
        Tensor out = result(x.extent(), weight.rows());
        backend.matmul(out, x, false, weight, true, false);
        return record(out, dy -> linearBackward(x, weight, dy), x, weight);
    }

    Tensor addLinear(Tensor base, Tensor x, Tensor weight) {
        check(x.columns() == weight.columns() && x.rows() == base.rows(), "addLinear", x, weight);
        check(base.columns() == weight.rows(), "addLinear", base, weight);
        Tensor out = like(base);
        backend.matmulAdd(out, base, x, false, weight, true);
        Optional<Projected> attends = projected(x).filter(made -> made.norm.x == base && made.isResult(x));
        return record(
                out,
                dy -> {
                    if (attends.isPresent() && attends.get().attended.isEmpty()) {
                        weightBackward(x, weight, dy);
                        attends.get().putOff(dy, Optional.of(weight)); // what arrives at base too, as it takes dy over
                        return;
                    }
                    linearBackward(x, weight, dy);
                    if (tracks(base)) {
                        gradients.handOver(base, dy);
                    }
                },
                base,
                x,
                weight);
    }

    private void linearBackward(Tensor x, Tensor weight, Tensor dy) {
        if (tracks(x)) {
            gradients.contribute(x, (dx, add) -> backend.matmul(dx, dy, false, weight, false, add));
        }
        weightBackward(x, weight, dy);
    }

    private void weightBackward(Tensor x, Tensor weight, Tensor dy) {
        if (tracks(weight)) {
            gradients.contribute(weight, (dw, add) -> backend.matmul(dw, dy, true, x, false, add));
        }
    }

    Tensor rope(Tensor x, IntTensor position, int headDim, double theta) {
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

    // ---- norms

    /** A norm, as its gradient needs it; {@code normed} is empty where it is calculated again. */
    private record Norm(
            Tensor x,
            Tensor weight,
            Optional<IntTensor> variant,
            double epsilon,
            Tensor rstd,
            Optional<Tensor> normed) {

        Ops.Norm taken() {
            return new Ops.Norm(x, weight, variant, epsilon, rstd);
        }
    }

    Tensor rmsNorm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        check(x.columns() == weight.columns(), "rmsNorm", x, weight);
        Tensor out = like(x);
        Tensor rstd = full(x.extent(), 1);
        backend.rmsNorm(out, rstd, x, weight, variant, epsilon);
        Norm norm = new Norm(x, weight, variant, epsilon, rstd, Optional.of(out));
        return record(out, dy -> normBackward(norm, dy), x, weight);
    }

    /** A norm that is taken with the layers behind it; {@code normed} is memory for it. */
    private Norm norm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, Tensor normed) {
        return new Norm(
                x,
                weight,
                variant,
                epsilon,
                full(x.extent(), 1),
                tape.calculatesNormsAndGatesAgain() ? Optional.empty() : Optional.of(normed));
    }

    private void normBackward(Norm norm, Tensor dnormed) {
        Tensor dweight = normWeightGradient(norm);
        gradients.contribute(
                norm.x,
                (dx, add) -> backend.rmsNormBackward(
                        dx, dweight, norm.x, norm.rstd, norm.weight, norm.variant, dnormed, add));
    }

    private Tensor normWeightGradient(Norm norm) {
        return tracks(norm.weight) ? gradients.added(norm.weight) : tape.zeros(norm.weight);
    }

    /** From the gradients of projections to that of the norm before, after which what it made is there again. */
    private Tensor throughNorm(Norm norm, List<Ops.Projection> projections, Tensor packed) {
        if (!tracks(norm.x) && !tracks(norm.weight)) {
            return again(norm);
        }
        Optional<Tensor> again = norm.normed.isPresent() ? Optional.empty() : Optional.of(like(norm.x));
        Tensor dnormed = like(norm.x);
        Tensor dweight = normWeightGradient(norm);
        gradients.contribute(
                norm.x,
                (dx, add) -> backend.packedInputGradientThroughNorm(
                        dx, dweight, again, dnormed, packed, projections, norm.taken(), add));
        return again.or(norm::normed).orElseThrow();
    }

    private Tensor again(Norm norm) {
        return norm.normed.orElseGet(() -> {
            Tensor normed = like(norm.x);
            backend.rmsNorm(normed, norm.rstd, norm.x, norm.weight, norm.variant, norm.epsilon);
            return normed;
        });
    }

    // ---- projections and attention

    /** What projections made of one norm, until their gradient is asked for. */
    private static final class Projected {
        private final Norm norm;
        private final List<Ops.Projection> projections;
        private final List<Tensor> made;
        private final Object run; // of the tape, in whose steps the gradient is
        private Optional<Attention> attention = Optional.empty(); // the first of just what was made
        private Optional<Attended> attended = Optional.empty(); // whose gradient has been put off

        private Projected(Norm norm, List<Ops.Projection> projections, List<Tensor> made, Object run) {
            this.norm = norm;
            this.projections = projections;
            this.made = made;
            this.run = run;
        }

        private boolean isResult(Tensor out) {
            return attention.isPresent() && attention.get().out == out;
        }

        private void putOff(Tensor arrived, Optional<Tensor> behind) {
            attended = Optional.of(new Attended(attention.orElseThrow(), arrived, behind));
        }
    }

    /** What made a tensor, or made what attention made it of; empty if that was in a run whose steps are not these. */
    private Optional<Projected> projected(Tensor made) {
        return Optional.ofNullable(projectedBy.get(made)).filter(each -> each.run == tape.run());
    }

    /** An attention, as its gradient needs it. */
    private record Attention(
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape,
            Tensor out,
            Tensor logSumExp) {}

    /**
     * An attention, and what has arrived at its result, or behind it.
     *
     * @param arrived at the result, if nothing is behind it; else at the sum of its product with {@code behind} and of the rows before the norm
     * @param behind the weight of a projection of the result
     */
    private record Attended(Attention attention, Tensor arrived, Optional<Tensor> behind) {}

    List<Tensor> normedLinears(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, List<Ops.Projection> projections) {
        check(x.columns() == weight.columns(), "normedLinears", x, weight);
        Tensor normed = like(x);
        Norm norm = norm(x, weight, variant, epsilon, normed);
        List<Tensor> made = new ArrayList<>();
        for (Ops.Projection projection : projections) {
            check(x.columns() == projection.weight().columns(), "normedLinears", x, projection.weight());
            projection.rotation().ifPresent(rotation -> checkIndex("rope", rotation.position(), x.rows()));
            made.add(result(x.extent(), projection.weight().rows()));
        }
        backend.normedLinears(made, normed, norm.normed.isPresent(), norm.taken(), projections);
        Stream<Tensor> inputs =
                Stream.concat(Stream.of(x, weight), projections.stream().map(Ops.Projection::weight));
        if (inputs.anyMatch(this::tracks)) {
            Projected projected = new Projected(norm, projections, List.copyOf(made), tape.run());
            for (Tensor each : made) {
                tape.track(each);
                projectedBy.put(each, projected);
            }
            tape.add(() -> {
                made.forEach(projectedBy::remove);
                projected.attention.ifPresent(attention -> projectedBy.remove(attention.out));
                normedLinearsBackward(projected);
            });
        }
        return List.copyOf(made);
    }

    private void normedLinearsBackward(Projected projected) {
        boolean arrived = hasArrived(projected.made);
        if (projected.attended.isPresent()) {
            if (!arrived) {
                attentionBackwardTogether(projected, projected.attended.get());
                return;
            }
            Attended attended = projected.attended.get(); // someone else has used queries, keys or values too
            attentionBackward(attended.attention, arrivedAtResult(projected, attended));
        } else if (!arrived) {
            return;
        }
        Norm norm = projected.norm;
        Tensor normed = again(norm);
        List<Ops.Projection> reached = new ArrayList<>();
        List<Tensor> douts = new ArrayList<>();
        List<Optional<Tensor>> dweights = new ArrayList<>();
        for (int i = 0; i < projected.made.size(); i++) {
            Optional<Tensor> dy = gradients.of(projected.made.get(i));
            if (dy.isPresent()) {
                Ops.Projection projection = projected.projections.get(i);
                reached.add(projection);
                douts.add(dy.get());
                dweights.add(weightGradient(projection.weight()));
            }
        }
        Tensor dnormed = like(norm.x);
        backend.linearsBackward(dnormed, dweights, normed, reached, douts);
        if (tracks(norm.x) || tracks(norm.weight)) {
            normBackward(norm, dnormed);
        }
    }

    private boolean hasArrived(List<Tensor> made) {
        return made.stream().anyMatch(out -> gradients.of(out).isPresent());
    }

    private Optional<Tensor> weightGradient(Tensor weight) {
        return tracks(weight) ? Optional.of(gradients.added(weight)) : Optional.empty();
    }

    /** Gradients of an attention and of the projections that nobody but it has used, which so need no memory for each of the three. */
    private void attentionBackwardTogether(Projected projected, Attended attended) {
        Attention of = attended.attention;
        Tensor packed = result(of.queries.extent(), of.shape.queryWidth() + 2 * of.shape.kvWidth());
        if (attended.behind.isPresent()) {
            backend.attentionGradientThroughOutput(
                    packed,
                    like(of.out),
                    of.queries,
                    of.keys,
                    of.values,
                    of.out,
                    of.logSumExp,
                    attended.arrived,
                    attended.behind.get(),
                    of.ranges,
                    of.shape,
                    projected.projections);
            handOverToRows(projected, attended);
        } else {
            backend.attentionGradient(
                    packed,
                    of.queries,
                    of.keys,
                    of.values,
                    of.out,
                    of.logSumExp,
                    attended.arrived,
                    of.ranges,
                    of.shape,
                    projected.projections);
        }
        projectionsBackward(projected.norm, projected.projections, packed);
    }

    private Tensor arrivedAtResult(Projected projected, Attended attended) {
        if (attended.behind.isEmpty()) {
            return attended.arrived;
        }
        Tensor dout = like(attended.attention.out);
        backend.matmul(dout, attended.arrived, false, attended.behind.get(), false, false);
        handOverToRows(projected, attended);
        return dout;
    }

    /** What has arrived behind an attention has arrived at the rows before the norm as well, and is needed no longer. */
    private void handOverToRows(Projected projected, Attended attended) {
        if (tracks(projected.norm.x)) {
            gradients.handOver(projected.norm.x, attended.arrived);
        }
    }

    /** From the gradients of projections, as {@link io.mor.api.backend.Backend#packedInputGradientThroughNorm} takes them, to those of their weights and of the norm before. */
    private void projectionsBackward(Norm norm, List<Ops.Projection> projections, Tensor packed) {
        Tensor normed = throughNorm(norm, projections, packed);
        List<Optional<Tensor>> weights = projections.stream()
                .map(projection -> Optional.of(projection.weight()).filter(this::tracks))
                .toList();
        if (weights.stream().flatMap(Optional::stream).allMatch(gradients::isParameter)) {
            gradients.contributeToParameters(
                    weights,
                    (dweights, add) -> backend.packedWeightGradients(dweights, packed, normed, projections, add));
        } else {
            List<Optional<Tensor>> dweights =
                    weights.stream().map(weight -> weight.map(gradients::added)).toList();
            backend.packedWeightGradients(dweights, packed, normed, projections, true);
        }
    }

    Tensor attention(Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape) {
        check(queries.columns() == shape.queryWidth() && keys.columns() == shape.kvWidth(), "attention", queries, keys);
        checkSame("attention", keys, values);
        Tensor out = like(queries);
        Tensor logSumExp = full(queries.extent(), shape.heads());
        backend.attention(out, logSumExp, queries, keys, values, ranges, shape);
        Attention attention = new Attention(queries, keys, values, ranges, shape, out, logSumExp);
        Optional<Projected> ofAll = projected(queries)
                .filter(projected -> projected.attention.isEmpty() && areAll(projected.made, queries, keys, values));
        ofAll.ifPresent(projected -> {
            projected.attention = Optional.of(attention);
            projectedBy.put(out, projected);
        });
        return record(
                out,
                dy -> {
                    if (ofAll.isPresent()) {
                        attentionBackward(ofAll.get(), attention, dy);
                    } else {
                        attentionBackward(attention, dy);
                    }
                },
                queries,
                keys,
                values);
    }

    private static boolean areAll(List<Tensor> made, Tensor queries, Tensor keys, Tensor values) {
        return made.size() == 3 && made.get(0) == queries && made.get(1) == keys && made.get(2) == values;
    }

    /** Put off as long as nobody else may have used queries, keys and values. */
    private void attentionBackward(Projected projected, Attention attention, Tensor dout) {
        if (projected.attended.isPresent()) { // others than the layer behind it have used the result
            backend.add(dout, dout, arrivedAtResult(projected, projected.attended.get()), 1);
        } else if (hasArrived(projected.made)) {
            attentionBackward(attention, dout);
            return;
        }
        projected.putOff(dout, Optional.empty());
    }

    private void attentionBackward(Attention of, Tensor dout) {
        Tensor dqueries = like(of.queries);
        gradients.contribute(
                of.keys,
                of.values,
                (dkeys, dvalues, add) -> backend.attentionBackward(
                        dqueries,
                        dkeys,
                        dvalues,
                        of.queries,
                        of.keys,
                        of.values,
                        of.out,
                        of.logSumExp,
                        dout,
                        of.ranges,
                        of.shape,
                        add));
        gradients.handOver(of.queries, dqueries);
    }

    // ---- feed-forward

    Tensor addFeedForward(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, Ops.FeedForward layers) {
        check(x.columns() == weight.columns(), "addFeedForward", x, weight);
        check(x.columns() == layers.gate().columns(), "addFeedForward", x, layers.gate());
        checkSame("addFeedForward", layers.gate(), layers.up());
        check(
                x.columns() == layers.down().rows()
                        && layers.gate().rows() == layers.down().columns(),
                "addFeedForward",
                layers.gate(),
                layers.down());
        Tensor normed = like(x);
        Norm norm = norm(x, weight, variant, epsilon, normed);
        Tensor gate = result(x.extent(), layers.gate().rows());
        Tensor up = like(gate);
        Tensor inner = like(gate);
        backend.normedGatedLinears(
                gate, up, inner, normed, norm.normed.isPresent(), norm.taken(), layers.gate(), layers.up());
        Tensor out = like(x);
        backend.matmulAdd(out, x, inner, false, layers.down(), true);
        Optional<Tensor> kept = tape.calculatesNormsAndGatesAgain() ? Optional.empty() : Optional.of(inner);
        return record(
                out,
                dy -> feedForwardBackward(norm, layers, gate, up, kept, dy),
                x,
                weight,
                layers.gate(),
                layers.up(),
                layers.down());
    }

    private void feedForwardBackward(
            Norm norm, Ops.FeedForward layers, Tensor gate, Tensor up, Optional<Tensor> kept, Tensor dy) {
        List<Ops.Projection> projections = List.of(
                new Ops.Projection(layers.gate(), Optional.empty()), new Ops.Projection(layers.up(), Optional.empty()));
        Tensor packed = result(gate.extent(), 2 * gate.columns());
        Tensor inner = like(gate);
        backend.gatedLinearsGradient(packed, inner, kept.isEmpty(), gate, up, dy, layers.down(), projections);
        weightBackward(kept.orElse(inner), layers.down(), dy);
        if (tracks(norm.x)) {
            gradients.handOver(norm.x, dy);
        }
        projectionsBackward(norm, projections, packed);
    }
}
