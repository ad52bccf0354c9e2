package io.mor.backend.reference;

import io.mor.api.tensor.AttentionShape;
import java.util.Optional;

/**
 * Attention over ranges of entries (spec 4). One head of one query row at a time; keys in ascending entry order.
 *
 * @param entryRows the row of the keys for every entry, empty if entry and row are the same
 */
record AttentionKernels(
        ReferenceTensor queries,
        ReferenceTensor keys,
        ReferenceTensor values,
        ReferenceInts start,
        ReferenceInts end,
        Optional<ReferenceInts> entryRows,
        AttentionShape shape) {

    void forward(ReferenceTensor out, ReferenceTensor logSumExp, int rows) {
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < shape.heads(); head++) {
                forward(out, logSumExp, row, head);
            }
        }
    }

    private void forward(ReferenceTensor out, ReferenceTensor logSumExp, int row, int head) {
        int first = start.get(row);
        int last = end.get(row);
        double largest = Double.NEGATIVE_INFINITY;
        for (int entry = first; entry < last; entry++) {
            largest = Math.max(largest, score(row, head, entry));
        }
        double total = 0;
        double[] mixed = new double[shape.headDim()];
        for (int entry = first; entry < last; entry++) {
            double weight = StrictMath.exp(score(row, head, entry) - largest);
            total += weight;
            for (int i = 0; i < mixed.length; i++) {
                mixed[i] += weight * values.get(keyRow(entry), keyColumn(head, i));
            }
        }
        for (int i = 0; i < mixed.length; i++) {
            out.set(row, queryColumn(head, i), first < last ? mixed[i] / total : 0);
        }
        logSumExp.set(row, head, first < last ? largest + StrictMath.log(total) : Double.NEGATIVE_INFINITY);
    }

    void backward(
            ReferenceTensor dqueries,
            ReferenceTensor dkeys,
            ReferenceTensor dvalues,
            ReferenceTensor out,
            ReferenceTensor logSumExp,
            ReferenceTensor dout,
            int rows) {
        double scale = 1 / Math.sqrt(shape.headDim());
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < shape.heads(); head++) {
                double outDotGradient = 0;
                for (int i = 0; i < shape.headDim(); i++) {
                    int column = queryColumn(head, i);
                    outDotGradient += out.get(row, column) * dout.get(row, column);
                    dqueries.set(row, column, 0);
                }
                for (int entry = start.get(row); entry < end.get(row); entry++) {
                    int keyRow = keyRow(entry);
                    double weight = StrictMath.exp(score(row, head, entry) - logSumExp.get(row, head));
                    double dweight = 0;
                    for (int i = 0; i < shape.headDim(); i++) {
                        double gradient = dout.get(row, queryColumn(head, i));
                        dweight += gradient * values.get(keyRow, keyColumn(head, i));
                        dvalues.add(keyRow, keyColumn(head, i), weight * gradient);
                    }
                    double dscore = weight * (dweight - outDotGradient) * scale;
                    for (int i = 0; i < shape.headDim(); i++) {
                        dqueries.add(row, queryColumn(head, i), dscore * keys.get(keyRow, keyColumn(head, i)));
                        dkeys.add(keyRow, keyColumn(head, i), dscore * queries.get(row, queryColumn(head, i)));
                    }
                }
            }
        }
    }

    private double score(int row, int head, int entry) {
        double dot = 0;
        for (int i = 0; i < shape.headDim(); i++) {
            dot += queries.get(row, queryColumn(head, i)) * keys.get(keyRow(entry), keyColumn(head, i));
        }
        return dot / Math.sqrt(shape.headDim());
    }

    private int keyRow(int entry) {
        return entryRows.isEmpty() ? entry : entryRows.get().get(entry);
    }

    private int queryColumn(int head, int i) {
        return head * shape.headDim() + i;
    }

    private int keyColumn(int head, int i) {
        return head / (shape.heads() / shape.kvHeads()) * shape.headDim() + i;
    }
}
