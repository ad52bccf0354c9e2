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
        return record(
                out,
                dy -> {
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
            Optional<Tensor> normed) {}

    Tensor rmsNorm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        check(x.columns() == weight.columns(), "rmsNorm", x, weight);
        Tensor out = like(x);
        Tensor rstd = full(x.extent(), 1);
        backend.rmsNorm(out, rstd, x, weight, variant, epsilon);
        Norm norm = new Norm(x, weight, variant, epsilon, rstd, Optional.of(out));
        return record(out, dy -> normBackward(norm, dy), x, weight);
    }

    private Norm norm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, Tensor normed) {
        check(x.columns() == weight.columns(), "rmsNorm", x, weight);
        Tensor rstd = full(x.extent(), 1);
        backend.rmsNorm(normed, rstd, x, weight, variant, epsilon);
        return new Norm(
                x,
                weight,
                variant,
                epsilon,
                rstd,
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
        Ops.Norm taken = new Ops.Norm(norm.x, norm.weight, norm.variant, norm.epsilon, norm.rstd);
        gradients.contribute(
                norm.x,
                (dx, add) -> backend.packedInputGradientThroughNorm(
                        dx, dweight, again, dnormed, packed, projections, taken, add));
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
        private Optional<Attended> attended = Optional.empty(); // whose gradient has been put off

        private Projected(Norm norm, List<Ops.Projection> projections, List<Tensor> made) {
            this.norm = norm;
            this.projections = projections;
            this.made = made;
        }
    }

    /** An attention, and what has arrived at its result. */
    private record Attended(
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape,
            Tensor out,
            Tensor logSumExp,
            Tensor dout) {}

    List<Tensor> normedLinears(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, List<Ops.Projection> projections) {
        Tensor normed = like(x);
        Norm norm = norm(x, weight, variant, epsilon, normed);
        List<Tensor> made = new ArrayList<>();
        for (Ops.Projection projection : projections) {
            check(x.columns() == projection.weight().columns(), "normedLinears", x, projection.weight());
            projection.rotation().ifPresent(rotation -> checkIndex("rope", rotation.position(), x.rows()));
            made.add(result(x.extent(), projection.weight().rows()));
        }
        backend.linears(made, normed, projections);
        Stream<Tensor> inputs =
                Stream.concat(Stream.of(x, weight), projections.stream().map(Ops.Projection::weight));
        if (inputs.anyMatch(this::tracks)) {
            Projected projected = new Projected(norm, projections, List.copyOf(made));
            for (Tensor each : made) {
                tape.track(each);
                projectedBy.put(each, projected);
            }
            tape.add(() -> {
                made.forEach(projectedBy::remove);
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
            attentionBackward(projected.attended.get()); // someone else has used queries, keys or values too
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
        Tensor packed = result(attended.queries.extent(), attended.shape.queryWidth() + 2 * attended.shape.kvWidth());
        backend.attentionGradient(
                packed,
                attended.queries,
                attended.keys,
                attended.values,
                attended.out,
                attended.logSumExp,
                attended.dout,
                attended.ranges,
                attended.shape,
                projected.projections);
        projectionsBackward(projected.norm, projected.projections, packed);
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
        return record(
                out,
                dy -> {
                    Attended attended = new Attended(queries, keys, values, ranges, shape, out, logSumExp, dy);
                    Projected projected = projectedBy.get(queries);
                    if (projected != null
                            && areAll(projected.made, queries, keys, values)
                            && projected.attended.isEmpty()
                            && !hasArrived(projected.made)) {
                        projected.attended = Optional.of(attended);
                    } else {
                        attentionBackward(attended);
                    }
                },
                queries,
                keys,
                values);
    }

    private static boolean areAll(List<Tensor> made, Tensor queries, Tensor keys, Tensor values) {
        return made.size() == 3 && made.get(0) == queries && made.get(1) == keys && made.get(2) == values;
    }

    private void attentionBackward(Attended attended) {
        Tensor dqueries = like(attended.queries);
        gradients.contribute(
                attended.keys,
                attended.values,
                (dkeys, dvalues, add) -> backend.attentionBackward(
                        dqueries,
                        dkeys,
                        dvalues,
                        attended.queries,
                        attended.keys,
                        attended.values,
                        attended.out,
                        attended.logSumExp,
                        attended.dout,
                        attended.ranges,
                        attended.shape,
                        add));
        gradients.handOver(attended.queries, dqueries);
    }

    // ---- feed-forward

    Tensor addFeedForward(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, Ops.FeedForward layers) {
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
        backend.gatedLinears(gate, up, inner, normed, layers.gate(), layers.up());
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
