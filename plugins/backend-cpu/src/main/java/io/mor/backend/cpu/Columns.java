package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Sums over rows. Each column is summed by one thread over fixed runs of rows, so the order of the additions depends neither on the number of
 * threads nor on the number of columns.
 */
final class Columns {

  private static final int ROWS_PER_RUN = 64; // partial sums keep the rounding errors of long columns small

  private Columns() {}

  /** What is summed in every row. */
  enum Term {
    X,
    X_TIMES_Y,
    X_TIMES_Y_TIMES_FACTOR
  }

  /**
   * {@code out[c] (+)= scale * sum over rows of term} for the columns {@code from .. to}.
   *
   * @param x {@code [rows, columns]}
   * @param y as x; x itself if the term has none
   * @param factor one per row; x itself if the term has none
   */
  static void sum(
      float[] out, int oo, Term term, float[] x, int xo, float[] y, int yo, float[] factor, int fo, int rows, int columns, float scale,
      boolean accumulate, int from, int to) {
    for (int c = from; c < to; c += LANES) {
      VectorMask<Float> m = SPECIES.indexInRange(c, to);
      FloatVector total = FloatVector.zero(SPECIES);
      for (int run = 0; run < rows; run += ROWS_PER_RUN) {
        int end = Math.min(rows, run + ROWS_PER_RUN);
        FloatVector partial =
            switch (term) {
              case X -> plain(x, xo + c, run, end, columns, m);
              case X_TIMES_Y -> product(x, xo + c, y, yo + c, run, end, columns, m);
              case X_TIMES_Y_TIMES_FACTOR -> scaledProduct(x, xo + c, y, yo + c, factor, fo, run, end, columns, m);
            };
        total = total.add(partial);
      }
      total = total.mul(scale);
      (accumulate ? total.add(FloatVector.fromArray(SPECIES, out, oo + c, m)) : total).intoArray(out, oo + c, m);
    }
  }

  private static FloatVector plain(float[] x, int xo, int from, int to, int columns, VectorMask<Float> m) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int row = from; row < to; row++) {
      sum = sum.add(FloatVector.fromArray(SPECIES, x, xo + row * columns, m));
    }
    return sum;
  }

  private static FloatVector product(float[] x, int xo, float[] y, int yo, int from, int to, int columns, VectorMask<Float> m) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int row = from; row < to; row++) {
      int at = row * columns;
      sum = FloatVector.fromArray(SPECIES, x, xo + at, m).fma(FloatVector.fromArray(SPECIES, y, yo + at, m), sum);
    }
    return sum;
  }

  private static FloatVector scaledProduct(
      float[] x, int xo, float[] y, int yo, float[] factor, int fo, int from, int to, int columns, VectorMask<Float> m) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int row = from; row < to; row++) {
      int at = row * columns;
      FloatVector scaled = FloatVector.fromArray(SPECIES, x, xo + at, m).mul(factor[fo + row]);
      sum = scaled.fma(FloatVector.fromArray(SPECIES, y, yo + at, m), sum);
    }
    return sum;
  }
}
