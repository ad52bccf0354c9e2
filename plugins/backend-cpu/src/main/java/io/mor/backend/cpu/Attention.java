package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import io.mor.api.tensor.AttentionShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Attention of query rows over ranges of entries (spec 4).
 *
 * <p>A score is summed lane by lane over the width of the head, then over the lanes; weights are summed by their ordinal in the row's range;
 * values are added in ascending order. So a row's result depends on its own entries only, whether they come from neighbouring rows or
 * through a table, and whatever other rows are in the call.
 */
final class Attention {

  private final Workers workers;
  private final AttentionShape shape;
  private final CpuTensor queries;
  private final CpuTensor keys;
  private final CpuTensor values;
  private final CpuInts start;
  private final CpuInts end;
  private final Optional<CpuInts> entryRows;
  private final int rows;
  private final float scale;

  /**
   * Prepares.
   *
   * @param entryRows the row of the keys for every entry, empty if entry and row are the same
   * @param rows query rows in use
   */
  Attention(
      Workers workers, AttentionShape shape, CpuTensor queries, CpuTensor keys, CpuTensor values, CpuInts start, CpuInts end,
      Optional<CpuInts> entryRows, int rows) {
    this.workers = workers;
    this.shape = shape;
    this.queries = queries;
    this.keys = keys;
    this.values = values;
    this.start = start;
    this.end = end;
    this.entryRows = entryRows;
    this.rows = rows;
    scale = (float) (1 / Math.sqrt(shape.headDim()));
  }

  private int keyRow(int entry) {
    return entryRows.isEmpty() ? entry : entryRows.get().get(entry);
  }

  private int kvColumn(int head) {
    return head / (shape.heads() / shape.kvHeads()) * shape.headDim();
  }

  private int longest() {
    int longest = 0;
    for (int row = 0; row < rows; row++) {
      longest = Math.max(longest, end.get(row) - start.get(row));
    }
    return longest;
  }

  void forward(CpuTensor out, CpuTensor logSumExp) {
    int longest = longest();
    float[][] scratch = new float[workers.threads()][];
    workers.run(
        rows * shape.heads(),
        (thread, part) -> {
          if (scratch[thread] == null) {
            scratch[thread] = new float[longest];
          }
          forwardRow(out, logSumExp, part / shape.heads(), part % shape.heads(), scratch[thread]);
        });
  }

  private void forwardRow(CpuTensor out, CpuTensor logSumExp, int row, int head, float[] weights) {
    int width = shape.headDim();
    int first = start.get(row);
    int count = end.get(row) - first;
    int oo = out.rowOffset(row) + head * width;
    if (count <= 0) {
      Arrays.fill(out.values(), oo, oo + width, 0f);
      logSumExp.values()[logSumExp.rowOffset(row) + head] = Float.NEGATIVE_INFINITY;
      return;
    }
    scores(row, head, first, count, weights);
    float largest = Elementwise.largest(weights, 0, count);
    float total = Elementwise.expOfDifference(weights, 0, weights, 0, largest, count);
    mix(out.values(), oo, weights, first, count, kvColumn(head));
    Elementwise.scale(out.values(), oo, out.values(), oo, 1 / total, false, width);
    logSumExp.values()[logSumExp.rowOffset(row) + head] = (float) (largest + Math.log(total));
  }

  private void scores(int row, int head, int first, int count, float[] scores) {
    int qo = queries.rowOffset(row) + head * shape.headDim();
    int column = keys.offset() + kvColumn(head);
    for (int i = 0; i < count; i++) {
      scores[i] = dot(queries.values(), qo, keys.values(), column + keyRow(first + i) * keys.columns(), shape.headDim()) * scale;
    }
  }

  /** The score's order of additions: lanes over the width, then the lanes. */
  private static float dot(float[] x, int xo, float[] y, int yo, int n) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      sum = FloatVector.fromArray(SPECIES, x, xo + i).fma(FloatVector.fromArray(SPECIES, y, yo + i), sum);
    }
    if (i < n) {
      VectorMask<Float> m = SPECIES.indexInRange(i, n);
      sum = FloatVector.fromArray(SPECIES, x, xo + i, m).fma(FloatVector.fromArray(SPECIES, y, yo + i, m), sum);
    }
    return Vectors.sum(sum);
  }

  /** {@code out = sum of weight * value} over the entries. */
  private void mix(float[] out, int oo, float[] weights, int first, int count, int column) {
    int width = shape.headDim();
    for (int d = 0; d < width; d += LANES) {
      VectorMask<Float> m = SPECIES.indexInRange(d, width);
      FloatVector sum = FloatVector.zero(SPECIES);
      for (int i = 0; i < count; i++) {
        int vo = values.rowOffset(keyRow(first + i)) + column + d;
        sum = FloatVector.broadcast(SPECIES, weights[i]).fma(FloatVector.fromArray(SPECIES, values.values(), vo, m), sum);
      }
      sum.intoArray(out, oo + d, m);
    }
  }

  void backward(CpuTensor dqueries, CpuTensor dkeys, CpuTensor dvalues, CpuTensor out, CpuTensor logSumExp, CpuTensor dout) {
    List<Integer> groups = groups();
    int longest = longest();
    float[][] scratch = new float[workers.threads()][];
    workers.run(
        (groups.size() - 1) * shape.kvHeads(),
        (thread, part) -> {
          if (scratch[thread] == null) {
            scratch[thread] = new float[longest];
          }
          int group = part / shape.kvHeads();
          int headsPerKey = shape.heads() / shape.kvHeads();
          int firstHead = part % shape.kvHeads() * headsPerKey;
          for (int head = firstHead; head < firstHead + headsPerKey; head++) {
            for (int row = groups.get(group); row < groups.get(group + 1); row++) {
              backwardRow(dqueries, dkeys, dvalues, out, logSumExp, dout, row, head, scratch[thread]);
            }
          }
        });
  }

  private void backwardRow(
      CpuTensor dqueries, CpuTensor dkeys, CpuTensor dvalues, CpuTensor out, CpuTensor logSumExp, CpuTensor dout, int row, int head,
      float[] weights) {
    int width = shape.headDim();
    int first = start.get(row);
    int count = end.get(row) - first;
    int column = head * width;
    int dqo = dqueries.rowOffset(row) + column;
    Arrays.fill(dqueries.values(), dqo, dqo + width, 0f);
    if (count <= 0) {
      return;
    }
    scores(row, head, first, count, weights);
    Elementwise.expOfDifference(weights, 0, weights, 0, logSumExp.values()[logSumExp.rowOffset(row) + head], count);
    int doo = dout.rowOffset(row) + column;
    float outDotGradient = dot(out.values(), out.rowOffset(row) + column, dout.values(), doo, width);
    for (int i = 0; i < count; i++) {
      int key = keyRow(first + i);
      int kvColumn = kvColumn(head);
      float dweight = dot(dout.values(), doo, values.values(), values.rowOffset(key) + kvColumn, width);
      float dscore = weights[i] * (dweight - outDotGradient) * scale;
      Elementwise.scale(dvalues.values(), dvalues.rowOffset(key) + kvColumn, dout.values(), doo, weights[i], true, width);
      Elementwise.scale(dqueries.values(), dqo, keys.values(), keys.rowOffset(key) + kvColumn, dscore, true, width);
      Elementwise.scale(
          dkeys.values(), dkeys.rowOffset(key) + kvColumn, queries.values(), queries.rowOffset(row) + column, dscore, true, width);
    }
  }

  /** First rows of groups that share no keys, and the number of rows. */
  private List<Integer> groups() {
    List<Integer> groups = new ArrayList<>();
    groups.add(0);
    int lowest = Integer.MAX_VALUE;
    int highest = Integer.MIN_VALUE;
    for (int row = 0; row < rows; row++) {
      if (end.get(row) <= start.get(row)) {
        continue;
      }
      if (highest != Integer.MIN_VALUE && (start.get(row) >= highest || end.get(row) <= lowest)) {
        groups.add(row);
        lowest = Integer.MAX_VALUE;
        highest = Integer.MIN_VALUE;
      }
      lowest = Math.min(lowest, start.get(row));
      highest = Math.max(highest, end.get(row));
    }
    groups.add(rows);
    return groups;
  }
}
