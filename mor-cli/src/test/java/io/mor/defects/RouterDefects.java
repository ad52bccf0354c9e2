package io.mor.defects;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import io.mor.testkit.SelectorContract;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/** An expert-choice router as a stranger would write it, right in {@link Right} and with one defect in each other class. */
final class RouterDefects {

    private RouterDefects() {}

    /** Per recursion one linear score; the gate is half its sigmoid; the loss is the mean squared score. */
    private static class ScoringRouter implements Router {

        final List<Parameter> weights;

        ScoringRouter(ModelShape shape) {
            this.weights = IntStream.range(0, shape.recursions())
                    .mapToObj(i -> Parameter.weight("router." + i + ".weight", 1, shape.hidden()))
                    .toList();
        }

        @Override
        public List<Parameter> parameters() {
            return weights;
        }

        @Override
        public boolean needsSelector() {
            return true;
        }

        Tensor scores(RouterContext context, int recursion, Tensor rows) {
            return context.ops().linear(rows, context.value(weights.get(recursion - 1)));
        }

        Optional<Tensor> gate(RouterContext context, Tensor scores) {
            return Optional.of(context.ops().scale(context.ops().apply(Unary.SIGMOID, scores), 0.5));
        }

        Tensor loss(Ops ops, Tensor scores) {
            return ops.mean(ops.apply(Unary.SQUARE, scores));
        }

        Ops.Rows rows(RouterContext context, Ops.Rows selected) {
            return selected;
        }

        @Override
        public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
            Ops ops = context.ops();
            List<Decision> decisions = batch.segments().stream()
                    .map(segment -> decide(
                            context,
                            batch.segment(ops, segment),
                            segment.recursion(),
                            batch.isUniform() ? rows : ops.sliceRows(rows, segment.firstRow(), segment.extent())))
                    .toList();
            if (decisions.size() == 1) {
                Decision one = decisions.getFirst();
                return new Routing(Optional.of(rows(context, ops.compact(one.mask(), one.exact()))), state, one.gate());
            }
            Tensor mask = ops.concatRows(decisions.stream().map(Decision::mask).toList());
            Optional<Tensor> gate = decisions.getFirst().gate().isEmpty()
                    ? Optional.empty()
                    : Optional.of(ops.concatRows(decisions.stream()
                            .map(one -> one.gate().orElseThrow())
                            .toList()));
            return new Routing(Optional.of(ops.compact(mask, Optional.empty())), state, gate);
        }

        private record Decision(Tensor mask, Optional<Integer> exact, Optional<Tensor> gate) {}

        private Decision decide(RouterContext context, TokenBatch batch, int recursion, Tensor rows) {
            Ops ops = context.ops();
            Tensor scores = scores(context, recursion, rows);
            double capacity = expectedShare(recursion, weights.size());
            double before = recursion == 1 ? 1 : expectedShare(recursion - 1, weights.size());
            Selection selection = context.select(
                    new SelectionRequest(batch, recursion, ops.detach(scores), Optional.empty(), capacity, before));
            if (context.phase() != Phase.CAUSAL) {
                context.loss("score-loss", loss(ops, scores), 0.1);
            }
            return new Decision(selection.mask(), selection.exact(), gate(context, scores));
        }
    }

    /** The contract with the closed forms of {@link ScoringRouter}. */
    abstract static class Contract extends RouterContract {

        @Override
        protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
            double[] value = row;
            for (int recursion = 1; recursion <= depth; recursion++) {
                double gate = 0.5 / (1 + Math.exp(-score(bench, recursion, value)));
                value = Arrays.stream(value)
                        .map(x -> x + gate * RouterBench.block(x))
                        .toArray();
            }
            return Optional.of(value);
        }

        private static double score(RouterBench bench, int recursion, double[] row) {
            double[] weights = bench.read(bench.parameter("router." + (recursion - 1) + ".weight"));
            return IntStream.range(0, row.length)
                    .mapToDouble(i -> weights[i] * row[i])
                    .sum();
        }

        @Override
        protected Map<String, Double> closedFormLosses(RouterBench bench, List<double[]> rows, RouterBench.Walk walk) {
            double loss = 0;
            for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
                int at = recursion;
                loss += IntStream.range(0, rows.size())
                        .filter(row -> at == 1 || walk.selected().get(at - 2).contains(row))
                        .mapToDouble(row -> score(
                                bench,
                                at,
                                closedForm(bench, rows.get(row), at - 1).orElseThrow()))
                        .map(score -> score * score)
                        .average()
                        .orElseThrow();
            }
            return Map.of("score-loss", loss);
        }
    }

    static final class Right extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape);
        }
    }

    static final class ScoresDependOnLaterTokens extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Tensor scores(RouterContext context, int recursion, Tensor rows) {
                    return super.scores(
                            context,
                            recursion,
                            context.ops().addRow(rows, context.ops().columnMean(rows)));
                }
            };
        }
    }

    static final class GateIsNotApplied extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Optional<Tensor> gate(RouterContext context, Tensor scores) {
                    return Optional.empty();
                }
            };
        }
    }

    static final class SelectionIsNotSorted extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Ops.Rows rows(RouterContext context, Ops.Rows selected) {
                    if (!selected.extent().isExact()) {
                        return selected;
                    }
                    Ops ops = context.ops();
                    int rows = selected.extent().bound();
                    int[] backwards =
                            IntStream.range(0, rows).map(i -> rows - 1 - i).toArray();
                    return new Ops.Rows(
                            ops.gatherInts(selected.index(), ops.ints(backwards), selected.extent()),
                            selected.extent());
                }
            };
        }
    }

    static final class RowIsSelectedTwice extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Ops.Rows rows(RouterContext context, Ops.Rows selected) {
                    if (!selected.extent().isExact() || selected.extent().bound() < 2) {
                        return selected;
                    }
                    Ops ops = context.ops();
                    int[] second = IntStream.range(0, selected.extent().bound())
                            .map(i -> Math.max(1, i))
                            .toArray();
                    return new Ops.Rows(
                            ops.gatherInts(selected.index(), ops.ints(second), selected.extent()), selected.extent());
                }
            };
        }
    }

    static final class LossIsASumInsteadOfAMean extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Tensor loss(Ops ops, Tensor scores) {
                    return ops.columnSum(ops.apply(Unary.SQUARE, scores));
                }
            };
        }
    }

    static final class DecisionDependsOnCallsBefore extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                private int calls;

                @Override
                Tensor scores(RouterContext context, int recursion, Tensor rows) {
                    return context.ops().affine(super.scores(context, recursion, rows), 1, 0.01 * calls++);
                }
            };
        }
    }

    static final class TensorIsKeptFromCallToCall extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                private Optional<Tensor> kept = Optional.empty();

                @Override
                Tensor scores(RouterContext context, int recursion, Tensor rows) {
                    Tensor scored = kept.orElse(rows);
                    kept = Optional.of(rows);
                    return super.scores(context, recursion, scored);
                }
            };
        }
    }

    static final class ParameterIsNeverUsed extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                public List<Parameter> parameters() {
                    List<Parameter> all = new ArrayList<>(super.parameters());
                    all.add(Parameter.scale("router.temperature", 1, 1));
                    return all;
                }
            };
        }
    }

    static final class GradientDoesNotReachTheScores extends Contract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new ScoringRouter(shape) {
                @Override
                Optional<Tensor> gate(RouterContext context, Tensor scores) {
                    return super.gate(context, context.ops().detach(scores));
                }
            };
        }
    }

    static final class SelectorRanksItsCandidates extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new Selector() {
                @Override
                public Tensor select(CallContext context, SelectionRequest request) {
                    Ops ops = context.ops();
                    if (request.recursion() == 1) {
                        return ops.constant(request.batch().extent(), 1, 1);
                    }
                    return ops.compare(request.scores(), Comparison.AT_LEAST, ops.columnMean(request.scores()));
                }
            };
        }
    }
}
