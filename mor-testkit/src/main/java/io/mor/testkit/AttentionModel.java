package io.mor.testkit;

import io.mor.api.tensor.AttentionShape;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/** Attention straight from its definition. */
record AttentionModel(
        Operand queries,
        Operand keys,
        Operand values,
        IntOperand start,
        IntOperand end,
        int[] rowOf,
        AttentionShape shape) {

    double logSumExp(int row, int head) {
        return Math.log(sum(row, entry -> Math.exp(score(row, head, entry))));
    }

    double out(int row, int column) {
        int head = column / shape.headDim();
        double total = sum(row, entry -> Math.exp(score(row, head, entry)));
        int valueColumn = keyColumn(head, column % shape.headDim());
        return sum(row, entry -> Math.exp(score(row, head, entry)) / total * values.at(rowOf[entry], valueColumn));
    }

    private double score(int row, int head, int entry) {
        double dot = 0;
        for (int i = 0; i < shape.headDim(); i++) {
            dot += queries.at(row, head * shape.headDim() + i) * keys.at(rowOf[entry], keyColumn(head, i));
        }
        return dot / Math.sqrt(shape.headDim());
    }

    private int keyColumn(int head, int i) {
        return head * shape.kvHeads() / shape.heads() * shape.headDim() + i;
    }

    private double sum(int row, IntToDoubleFunction term) {
        return IntStream.range(start.at(row), end.at(row)).mapToDouble(term).sum();
    }
}
