package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Matrix products, norms, rotations, losses and their fused forms. */
public interface LayerKernelContract extends OnBench {

    @Test
    default void matmulMultipliesRowsByAMatrix() {
        for (int outputs : new int[] {1, 5, 67}) {
            matmulByWeight(bench().kernel().columns(1, 2, 17, 67, 72), outputs, true);
            matmulByWeight(bench().kernel().columns(1, 2, 17, 67), outputs, false);
        }
    }

    @Test
    default void matmulMultipliesManyRowsByALargeMatrix() {
        Batch[] batches = {Batch.exact(131), Batch.counted(67, 257)};
        matmulByWeight(bench().kernel().columns(289).batches(batches), 193, true);
        matmulByWeight(bench().kernel().columns(289).batches(batches), 193, false);
    }

    private static void matmulByWeight(KernelCheck check, int outputs, boolean transposeB) {
        check.bothWays().check(run -> {
            int inner = run.columns();
            Operand a = run.rows("a", inner);
            Operand b = transposeB ? run.matrix("b", outputs, inner) : run.matrix("b", inner, outputs);
            Operand out = run.rows("out", outputs);
            run.backend().matmul(out.tensor(), a.tensor(), false, b.tensor(), transposeB, run.accumulate());
            out.expectPut(
                    inner,
                    (row, column) -> sum(inner, k -> a.at(row, k) * (transposeB ? b.at(column, k) : b.at(k, column))));
        });
    }

    @Test
    default void matmulOfATransposedSumsOverTheRowsInUse() {
        for (int inputs : new int[] {1, 5, 67}) {
            bench().kernel().columns(1, 2, 17, 67).wholeBatch().bothWays().check(run -> {
                Operand a = run.rows("a", inputs);
                Operand b = run.rows("b", run.columns());
                Operand out = run.matrix("out", inputs, run.columns());
                run.backend().matmul(out.tensor(), a.tensor(), true, b.tensor(), false, run.accumulate());
                out.expectPut(run.rows(), (i, j) -> sum(run.rows(), row -> a.at(row, i) * b.at(row, j)));
            });
        }
    }

    @Test
    default void matmulOfManyRowsTransposedSumsOverTheRowsInUse() {
        bench().kernel()
                .columns(131)
                .batches(Batch.exact(521), Batch.counted(257, 521))
                .wholeBatch()
                .bothWays()
                .check(run -> {
                    Operand a = run.rows("a", 67);
                    Operand b = run.rows("b", run.columns());
                    Operand out = run.matrix("out", 67, run.columns());
                    run.backend().matmul(out.tensor(), a.tensor(), true, b.tensor(), false, run.accumulate());
                    out.expectPut(run.rows(), (i, j) -> sum(run.rows(), row -> a.at(row, i) * b.at(row, j)));
                });
    }

    @Test
    default void matmulOfBothTransposed() {
        bench().kernel()
                .columns(1, 2, 17)
                .batches(Batch.exact(1), Batch.exact(7), Batch.exact(37))
                .wholeBatch()
                .bothWays()
                .check(run -> {
                    Operand a = run.rows("a", run.columns());
                    Operand b = run.matrix("b", 5, run.rows());
                    Operand out = run.matrix("out", run.columns(), 5);
                    run.backend().matmul(out.tensor(), a.tensor(), true, b.tensor(), true, run.accumulate());
                    out.expectPut(run.rows(), (i, j) -> sum(run.rows(), k -> a.at(k, i) * b.at(j, k)));
                });
    }

    @Test
    default void rmsNormDividesByTheRootMeanSquare() {
        for (boolean variants : new boolean[] {false, true}) {
            bench().kernel().columns(1, 2, 17, 67, 257, 264).check(run -> {
                int width = run.columns();
                Operand x = run.rows("x", width);
                Operand weight = run.matrix("weight", variants ? 3 : 1, width);
                IntOperand variant = run.rowIndices("variant", 3);
                Operand rstd = run.rows("rstd", 1);
                Operand out = run.rows("out", width);
                Optional<IntTensor> chosen = variants ? Optional.of(variant.tensor()) : Optional.empty();
                run.backend().rmsNorm(out.tensor(), rstd.tensor(), x.tensor(), weight.tensor(), chosen, 1e-3);
                Operand.Cell expected = (row, ignored) ->
                        1 / Math.sqrt(sum(width, column -> Math.pow(x.at(row, column), 2)) / width + 1e-3);
                rstd.expect(width, expected);
                out.expect(
                        width,
                        (row, column) -> x.at(row, column)
                                * expected.at(row, 0)
                                * weight.at(variants ? variant.at(row) : 0, column));
            });
        }
    }

    @Test
    default void rmsNormBackwardIsTheSlope() {
        bench().gradient(gradient -> {
            Backend on = gradient.backend();
            Tensor rstd = gradient.scratch(5, 1);
            Optional<IntTensor> variant = Optional.of(gradient.ints(2, 0, 0, 2, 0));
            gradient.input("x", 5, 7, -1, 1)
                    .input("weight", 3, 7, -1, 1)
                    .check(
                            5,
                            7,
                            (in, out) -> on.rmsNorm(out, rstd, in.get("x"), in.get("weight"), variant, 1e-3),
                            (in, out, dout, to) -> on.rmsNormBackward(
                                    to.get("x"),
                                    to.get("weight"),
                                    in.get("x"),
                                    rstd,
                                    in.get("weight"),
                                    variant,
                                    dout,
                                    false));
        });
        for (boolean variants : new boolean[] {false, true}) {
            bench().kernel().bothWays().check(run -> {
                int width = run.columns();
                Operand x = run.rows("x", width, 0.25, 1);
                Operand weight = run.matrix("weight", variants ? 3 : 1, width);
                Optional<IntTensor> chosen =
                        variants ? Optional.of(run.rowIndices("variant", 3).tensor()) : Optional.empty();
                Operand rstd = run.rows(
                        "rstd",
                        1,
                        (row, ignored) -> 1 / Math.sqrt(sum(width, column -> Math.pow(x.at(row, column), 2)) / width));
                Operand dy = run.rows("dy", width);
                Operand dx = run.rows("dx", width);
                Operand dweight = run.matrix("dweight", variants ? 3 : 1, width);
                Operand slope = run.rows("slope", width);
                Operand weightSlope = run.matrix("weightSlope", variants ? 3 : 1, width, (row, column) -> 0);
                run.backend()
                        .rmsNormBackward(
                                slope.tensor(),
                                weightSlope.tensor(),
                                x.tensor(),
                                rstd.tensor(),
                                weight.tensor(),
                                chosen,
                                dy.tensor(),
                                false);
                run.backend()
                        .rmsNormBackward(
                                dx.tensor(),
                                dweight.tensor(),
                                x.tensor(),
                                rstd.tensor(),
                                weight.tensor(),
                                chosen,
                                dy.tensor(),
                                run.accumulate());
                slope.record(4 * width);
                dx.expectPut(4 * width, slope.now());
                Operand.Cell added = weightSlope.now();
                dweight.expect(4 * run.rows(), (row, column) -> dweight.at(row, column) + added.at(row, column));
            });
        }
    }

    @Test
    default void ropeRotatesPairsOfHalves() {
        for (int headDim : new int[] {2, 6, 16}) {
            bench().kernel().columns(1, 3).check(run -> {
                int width = run.columns() * headDim;
                Operand x = run.rows("x", width);
                IntOperand position = run.rowInts("position", identity -> identity == 1 ? 4095 : identity % 50);
                Operand out = run.rows("out", width);
                Operand back = run.rows("back", width);
                run.backend().rope(out.tensor(), x.tensor(), position.tensor(), headDim, 10000, false);
                out.expect(4096, rotated(x, position, headDim));
                run.backend().rope(back.tensor(), out.tensor(), position.tensor(), headDim, 10000, true);
                back.expect(4096, x::at);
                run.backend().rope(x.tensor(), x.tensor(), position.tensor(), headDim, 10000, false);
                x.expect(4096, rotated(x, position, headDim));
            });
        }
    }

    private static Operand.Cell rotated(Operand x, IntOperand position, int headDim) {
        return (row, column) -> {
            int inHead = column % headDim;
            int half = headDim / 2;
            double angle = position.at(row) / Math.pow(10000, 2.0 * (inHead % half) / headDim);
            double partner = inHead < half ? -x.at(row, column + half) : x.at(row, column - half);
            return x.at(row, column) * Math.cos(angle) + partner * Math.sin(angle);
        };
    }

    @Test
    default void ropeInverseIsTheGradient() {
        bench().gradient(gradient -> {
            IntTensor position = gradient.ints(0, 3, 77);
            gradient.input("x", 3, 12, -1, 1)
                    .check(
                            3,
                            12,
                            (in, out) -> gradient.backend().rope(out, in.get("x"), position, 6, 10000, false),
                            (in, out, dout, to) ->
                                    gradient.backend().rope(to.get("x"), dout, position, 6, 10000, true));
        });
    }

    @Test
    default void crossEntropyIsTheNegativeLogarithmOfTheProbability() {
        bench().kernel().columns(1, 2, 17, 131, 257, 264).check(run -> {
            Operand logits = run.rows("logits", run.columns(), -4, 4);
            IntOperand target = run.rowIndices("target", run.columns());
            Operand out = run.rows("out", 1);
            run.backend().crossEntropy(out.tensor(), logits.tensor(), target.tensor());
            out.expect(
                    run.columns(),
                    (row, ignored) -> Math.log(sum(run.columns(), column -> Math.exp(logits.at(row, column))))
                            - logits.at(row, target.at(row)));
        });
    }

    @Test
    default void crossEntropyBackwardIsTheSlope() {
        bench().gradient(gradient -> {
            IntTensor target = gradient.ints(6, 0, 3);
            gradient.input("logits", 3, 7, -2, 2)
                    .check(
                            3,
                            1,
                            (in, out) -> gradient.backend().crossEntropy(out, in.get("logits"), target),
                            (in, out, dout, to) -> gradient.backend()
                                    .crossEntropyBackward(to.get("logits"), in.get("logits"), target, dout));
        });
        bench().kernel().columns(1, 2, 17, 131, 257, 264).check(run -> {
            Operand logits = run.rows("logits", run.columns(), -4, 4);
            IntOperand target = run.rowIndices("target", run.columns());
            Operand dy = run.rows("dy", 1);
            Operand dlogits = run.rows("dlogits", run.columns());
            run.backend().crossEntropyBackward(dlogits.tensor(), logits.tensor(), target.tensor(), dy.tensor());
            Operand.Cell expected = (row, column) -> {
                double total = sum(run.columns(), other -> Math.exp(logits.at(row, other)));
                return (Math.exp(logits.at(row, column)) / total - (column == target.at(row) ? 1 : 0)) * dy.at(row, 0);
            };
            dlogits.expect(run.columns(), expected);
            run.backend().crossEntropyBackward(logits.tensor(), logits.tensor(), target.tensor(), dy.tensor());
            logits.expect(run.columns(), expected);
        });
    }

    @Test
    default void crossEntropyGradientGivesTheLossAndTheSlopeInPlace() {
        bench().kernel().columns(1, 2, 17, 131, 257, 264).check(run -> {
            Operand logits = run.rows("logits", run.columns(), -4, 4);
            IntOperand target = run.rowIndices("target", run.columns());
            Operand dy = run.rows("dy", 1);
            Operand out = run.rows("out", 1);
            run.backend().crossEntropyGradient(out.tensor(), logits.tensor(), target.tensor(), dy.tensor());
            Operand.Cell total =
                    (row, ignored) -> Math.log(sum(run.columns(), column -> Math.exp(logits.at(row, column))));
            out.expect(run.columns(), (row, ignored) -> total.at(row, 0) - logits.at(row, target.at(row)));
            logits.expect(
                    run.columns(),
                    (row, column) ->
                            (Math.exp(logits.at(row, column) - total.at(row, 0)) - (column == target.at(row) ? 1 : 0))
                                    * dy.at(row, 0));
        });
    }

    @Test
    default void linearsAreProductsOfTheSameRowsRotatedWhereSaid() {
        bench().kernel().columns(1, 17, 72).check(run -> {
            int headDim = 16;
            int[] outputs = {2 * headDim, headDim, headDim};
            Operand x = run.rows("x", run.columns());
            // one after the other in memory, as a model's weights are
            Operand weights = run.matrix("weights", 4 * headDim, run.columns());
            IntOperand position = run.rowInts("position", identity -> identity % 7);
            Ops.Rotation rotation = new Ops.Rotation(position.tensor(), headDim, 100);
            List<Ops.Projection> projections = new ArrayList<>();
            List<Tensor> outs = new ArrayList<>();
            List<Operand> results = new ArrayList<>();
            int first = 0;
            for (int i = 0; i < outputs.length; i++) {
                Tensor weight = run.backend().view(weights.tensor(), first, Extent.exact(outputs[i]), run.columns());
                projections.add(new Ops.Projection(weight, i < 2 ? Optional.of(rotation) : Optional.empty()));
                results.add(run.rows("out " + i, outputs[i]));
                outs.add(results.get(i).tensor());
                first += outputs[i];
            }
            run.backend().linears(outs, x.tensor(), projections);
            int begin = 0;
            for (int i = 0; i < outputs.length; i++) {
                int firstWeight = begin;
                boolean turns = i < 2;
                Operand.Cell product =
                        (row, column) -> sum(run.columns(), k -> x.at(row, k) * weights.at(firstWeight + column, k));
                results.get(i).expect(2 * run.columns(), (row, column) -> {
                    if (!turns) {
                        return product.at(row, column);
                    }
                    int pair = column % headDim % (headDim / 2);
                    double angle = position.at(row) * Math.pow(100, -2.0 * pair / headDim);
                    int low = column - column % headDim + pair;
                    double a = product.at(row, low);
                    double b = product.at(row, low + headDim / 2);
                    return column == low
                            ? a * Math.cos(angle) - b * Math.sin(angle)
                            : b * Math.cos(angle) + a * Math.sin(angle);
                });
                begin += outputs[i];
            }
        });
    }

    @Test
    default void linearsBackwardAddsToTheWeightsAndSetsTheSlopeOfTheRows() {
        bench().kernel().columns(1, 17, 72).wholeBatch().check(run -> {
            int headDim = 16;
            int[] outputs = {2 * headDim, headDim, headDim};
            Operand x = run.rows("x", run.columns());
            Operand weights = run.matrix("weights", 4 * headDim, run.columns(), -0.25, 0.25);
            Operand dweights = run.matrix("dweights", 4 * headDim, run.columns());
            Operand dx = run.rows("dx", run.columns());
            IntOperand position = run.rowInts("position", identity -> identity % 7);
            Ops.Rotation rotation = new Ops.Rotation(position.tensor(), headDim, 100);
            List<Ops.Projection> projections = new ArrayList<>();
            List<Optional<Tensor>> into = new ArrayList<>();
            List<Operand> douts = new ArrayList<>();
            int first = 0;
            for (int i = 0; i < outputs.length; i++) {
                Extent extent = Extent.exact(outputs[i]);
                Tensor weight = run.backend().view(weights.tensor(), first, extent, run.columns());
                projections.add(new Ops.Projection(weight, i < 2 ? Optional.of(rotation) : Optional.empty()));
                into.add(Optional.of(run.backend().view(dweights.tensor(), first, extent, run.columns())));
                douts.add(run.rows("dout " + i, outputs[i]));
                first += outputs[i];
            }
            List<Tensor> arriving = douts.stream().map(Operand::tensor).toList();
            run.backend().linearsBackward(dx.tensor(), into, x.tensor(), projections, arriving);
            Operand.Cell arrived = (row, column) -> { // of all outputs side by side, rotated back
                int i = column < outputs[0] ? 0 : column < outputs[0] + outputs[1] ? 1 : 2;
                int own = column - (i == 0 ? 0 : i == 1 ? outputs[0] : outputs[0] + outputs[1]);
                if (i == 2) {
                    return douts.get(i).at(row, own);
                }
                int pair = own % headDim % (headDim / 2);
                double angle = -position.at(row) * Math.pow(100, -2.0 * pair / headDim);
                int low = own - own % headDim + pair;
                double a = douts.get(i).at(row, low);
                double b = douts.get(i).at(row, low + headDim / 2);
                return own == low
                        ? a * Math.cos(angle) - b * Math.sin(angle)
                        : b * Math.cos(angle) + a * Math.sin(angle);
            };
            dx.expect(8 * headDim, (row, column) -> sum(4 * headDim, k -> arrived.at(row, k) * weights.at(k, column)));
            dweights.expect(
                    4 * run.rows(),
                    (output, column) -> dweights.at(output, column)
                            + sum(run.rows(), row -> arrived.at(row, output) * x.at(row, column)));
        });
    }

    @Test
    default void matmulAddAddsTheProductToAnotherMatrix() {
        for (boolean inPlace : new boolean[] {false, true}) {
            bench().kernel().columns(1, 2, 17, 67, 72).check(run -> {
                Operand a = run.rows("a", run.columns());
                Operand b = run.matrix("b", 40, run.columns());
                Operand base = run.rows("base", 40);
                Operand out = inPlace ? base : run.rows("out", 40);
                run.backend().matmulAdd(out.tensor(), base.tensor(), a.tensor(), false, b.tensor(), true);
                out.expect(
                        run.columns(),
                        (row, column) ->
                                base.at(row, column) + sum(run.columns(), k -> a.at(row, k) * b.at(column, k)));
            });
        }
    }

    @Test
    default void swiGluGatesByTheSilu() {
        bench().kernel().check(run -> {
            Operand gate = run.rows("gate", run.columns(), -4, 4);
            Operand up = run.rows("up", run.columns());
            Operand out = run.rows("out", run.columns());
            run.backend().swiGlu(out.tensor(), gate.tensor(), up.tensor());
            out.expect(8, (row, column) -> UnaryModel.value(Unary.SILU, gate.at(row, column)) * up.at(row, column));
        });
    }

    @Test
    default void swiGluBackwardIsTheSlope() {
        bench().gradient(gradient -> gradient.input("gate", 3, 7, -4, 4)
                .input("up", 3, 7, -1, 1)
                .check(
                        3,
                        7,
                        (in, out) -> gradient.backend().swiGlu(out, in.get("gate"), in.get("up")),
                        (in, out, dout, to) -> gradient.backend()
                                .swiGluBackward(to.get("gate"), to.get("up"), in.get("gate"), in.get("up"), dout)));
        bench().kernel().check(run -> {
            Operand gate = run.rows("gate", run.columns(), -4, 4);
            Operand up = run.rows("up", run.columns());
            Operand dy = run.rows("dy", run.columns());
            Operand dgate = run.rows("dgate", run.columns());
            Operand dup = run.rows("dup", run.columns());
            run.backend().swiGluBackward(dgate.tensor(), dup.tensor(), gate.tensor(), up.tensor(), dy.tensor());
            dgate.expect(8, (row, column) -> {
                double sigmoid = UnaryModel.value(Unary.SIGMOID, gate.at(row, column));
                return sigmoid * (1 + gate.at(row, column) * (1 - sigmoid)) * up.at(row, column) * dy.at(row, column);
            });
            dup.expect(8, (row, column) -> UnaryModel.value(Unary.SILU, gate.at(row, column)) * dy.at(row, column));
        });
    }

    @Test
    default void addToRowsAddsGatedRowsAndKeepsTheOthersBits() {
        addToRows(false, false);
        addToRows(true, false);
        addToRows(false, true);
        addToRows(true, true);
    }

    private void addToRows(boolean gated, boolean inPlace) {
        bench().kernel().wholeBatch().check(run -> {
            Operand base = run.matrix("base", 80, run.columns());
            Operand out = inPlace ? base : run.matrix("out", 80, run.columns());
            IntOperand index = run.rowInts("index", identity -> 2 * identity + 1);
            Operand x = run.rows("x", run.columns());
            Operand gate = run.rows("gate", 1);
            Optional<Tensor> factor = gated ? Optional.of(gate.tensor()) : Optional.empty();
            run.backend().addToRows(out.tensor(), base.tensor(), index.tensor(), x.tensor(), factor);
            out.expect(2, (row, column) -> {
                int from = row % 2 == 1 && row / 2 < run.rows() ? row / 2 : -1;
                return base.at(row, column) + (from < 0 ? 0 : x.at(from, column) * (gated ? gate.at(from, 0) : 1));
            });
            double[] after = run.backend().readDoubles(out.tensor());
            for (int i = 0; i < run.columns(); i++) {
                if (after[i] != base.at(0, i)) {
                    throw new AssertionError("a row that was not selected changed its bits");
                }
            }
        });
    }

    private static double sum(int terms, IntToDoubleFunction term) {
        return IntStream.range(0, terms).mapToDouble(term).sum();
    }
}
