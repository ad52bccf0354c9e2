package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;

/**
 * The innermost loops of the matrix product: a tile of a few rows and {@link #WIDTH} columns of c stays in registers while k runs over {@code
 * c[i, j] += a[i, k] * b[k, j]}. Every element is one chain of fused multiply-adds in ascending k, whatever the tile's height: the same bits
 * in all of them.
 *
 * <p>Element {@code (i, k)} of a is at {@code ao + i * aRow + k * aStep}; element {@code (k, j)} of b at {@code bo + k * bStep + j}; {@code
 * (i, j)} of c at {@code co + i * cRow + j}. All columns of the tile are read and written. If {@code load} is false, c starts from 0.
 *
 * <p>One method per height, written out: the compiler keeps only local variables in registers.
 */
final class Tiles {

    /** Columns of a tile: two vectors. */
    static final int WIDTH = 2 * LANES;

    /** Rows of the tallest tile that the registers hold: 32 registers with AVX-512 and on ARM, 16 else. */
    static final int HEIGHT = LANES == 16 || System.getProperty("os.arch").equals("aarch64") ? 12 : 6;

    private Tiles() {}

    /** The height of the next tile when {@code rows} rows are left. */
    static int height(int rows) {
        return rows >= HEIGHT ? HEIGHT : rows >= 6 ? 6 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
    }

    /** Computes the tile of {@code height} rows, one of {@link #height}. */
    static void multiply(
            int height,
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            float[] c,
            int co,
            int cRow,
            int k,
            boolean load) {
        switch (height) {
            case 12 -> rows12(a, ao, aRow, aStep, b, bo, bStep, c, co, cRow, k, load);
            case 6 -> rows6(a, ao, aRow, aStep, b, bo, bStep, c, co, cRow, k, load);
            case 4 -> rows4(a, ao, aRow, aStep, b, bo, bStep, c, co, cRow, k, load);
            case 2 -> rows2(a, ao, aRow, aStep, b, bo, bStep, c, co, cRow, k, load);
            case 1 -> rows1(a, ao, aStep, b, bo, bStep, c, co, k, load);
            default -> throw new IllegalArgumentException("there is no tile of " + height + " rows");
        }
    }

    /** Twelve rows. */
    private static void rows12(
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            float[] c,
            int co,
            int cRow,
            int k,
            boolean load) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector t0 = FloatVector.zero(SPECIES);
        FloatVector s1 = FloatVector.zero(SPECIES);
        FloatVector t1 = FloatVector.zero(SPECIES);
        FloatVector s2 = FloatVector.zero(SPECIES);
        FloatVector t2 = FloatVector.zero(SPECIES);
        FloatVector s3 = FloatVector.zero(SPECIES);
        FloatVector t3 = FloatVector.zero(SPECIES);
        FloatVector s4 = FloatVector.zero(SPECIES);
        FloatVector t4 = FloatVector.zero(SPECIES);
        FloatVector s5 = FloatVector.zero(SPECIES);
        FloatVector t5 = FloatVector.zero(SPECIES);
        FloatVector s6 = FloatVector.zero(SPECIES);
        FloatVector t6 = FloatVector.zero(SPECIES);
        FloatVector s7 = FloatVector.zero(SPECIES);
        FloatVector t7 = FloatVector.zero(SPECIES);
        FloatVector s8 = FloatVector.zero(SPECIES);
        FloatVector t8 = FloatVector.zero(SPECIES);
        FloatVector s9 = FloatVector.zero(SPECIES);
        FloatVector t9 = FloatVector.zero(SPECIES);
        FloatVector s10 = FloatVector.zero(SPECIES);
        FloatVector t10 = FloatVector.zero(SPECIES);
        FloatVector s11 = FloatVector.zero(SPECIES);
        FloatVector t11 = FloatVector.zero(SPECIES);
        if (load) {
            s0 = FloatVector.fromArray(SPECIES, c, co);
            t0 = FloatVector.fromArray(SPECIES, c, co + LANES);
            s1 = FloatVector.fromArray(SPECIES, c, co + cRow);
            t1 = FloatVector.fromArray(SPECIES, c, co + cRow + LANES);
            s2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow);
            t2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow + LANES);
            s3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow);
            t3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow + LANES);
            s4 = FloatVector.fromArray(SPECIES, c, co + 4 * cRow);
            t4 = FloatVector.fromArray(SPECIES, c, co + 4 * cRow + LANES);
            s5 = FloatVector.fromArray(SPECIES, c, co + 5 * cRow);
            t5 = FloatVector.fromArray(SPECIES, c, co + 5 * cRow + LANES);
            s6 = FloatVector.fromArray(SPECIES, c, co + 6 * cRow);
            t6 = FloatVector.fromArray(SPECIES, c, co + 6 * cRow + LANES);
            s7 = FloatVector.fromArray(SPECIES, c, co + 7 * cRow);
            t7 = FloatVector.fromArray(SPECIES, c, co + 7 * cRow + LANES);
            s8 = FloatVector.fromArray(SPECIES, c, co + 8 * cRow);
            t8 = FloatVector.fromArray(SPECIES, c, co + 8 * cRow + LANES);
            s9 = FloatVector.fromArray(SPECIES, c, co + 9 * cRow);
            t9 = FloatVector.fromArray(SPECIES, c, co + 9 * cRow + LANES);
            s10 = FloatVector.fromArray(SPECIES, c, co + 10 * cRow);
            t10 = FloatVector.fromArray(SPECIES, c, co + 10 * cRow + LANES);
            s11 = FloatVector.fromArray(SPECIES, c, co + 11 * cRow);
            t11 = FloatVector.fromArray(SPECIES, c, co + 11 * cRow + LANES);
        }
        int a1 = ao + aRow;
        int a2 = ao + 2 * aRow;
        int a3 = ao + 3 * aRow;
        int a4 = ao + 4 * aRow;
        int a5 = ao + 5 * aRow;
        int a6 = ao + 6 * aRow;
        int a7 = ao + 7 * aRow;
        int a8 = ao + 8 * aRow;
        int a9 = ao + 9 * aRow;
        int a10 = ao + 10 * aRow;
        int a11 = ao + 11 * aRow;
        for (int i = 0; i < k; i++) {
            FloatVector p = FloatVector.fromArray(SPECIES, b, bo + i * bStep);
            FloatVector q = FloatVector.fromArray(SPECIES, b, bo + i * bStep + LANES);
            FloatVector x = FloatVector.broadcast(SPECIES, a[ao + i * aStep]);
            s0 = x.fma(p, s0);
            t0 = x.fma(q, t0);
            x = FloatVector.broadcast(SPECIES, a[a1 + i * aStep]);
            s1 = x.fma(p, s1);
            t1 = x.fma(q, t1);
            x = FloatVector.broadcast(SPECIES, a[a2 + i * aStep]);
            s2 = x.fma(p, s2);
            t2 = x.fma(q, t2);
            x = FloatVector.broadcast(SPECIES, a[a3 + i * aStep]);
            s3 = x.fma(p, s3);
            t3 = x.fma(q, t3);
            x = FloatVector.broadcast(SPECIES, a[a4 + i * aStep]);
            s4 = x.fma(p, s4);
            t4 = x.fma(q, t4);
            x = FloatVector.broadcast(SPECIES, a[a5 + i * aStep]);
            s5 = x.fma(p, s5);
            t5 = x.fma(q, t5);
            x = FloatVector.broadcast(SPECIES, a[a6 + i * aStep]);
            s6 = x.fma(p, s6);
            t6 = x.fma(q, t6);
            x = FloatVector.broadcast(SPECIES, a[a7 + i * aStep]);
            s7 = x.fma(p, s7);
            t7 = x.fma(q, t7);
            x = FloatVector.broadcast(SPECIES, a[a8 + i * aStep]);
            s8 = x.fma(p, s8);
            t8 = x.fma(q, t8);
            x = FloatVector.broadcast(SPECIES, a[a9 + i * aStep]);
            s9 = x.fma(p, s9);
            t9 = x.fma(q, t9);
            x = FloatVector.broadcast(SPECIES, a[a10 + i * aStep]);
            s10 = x.fma(p, s10);
            t10 = x.fma(q, t10);
            x = FloatVector.broadcast(SPECIES, a[a11 + i * aStep]);
            s11 = x.fma(p, s11);
            t11 = x.fma(q, t11);
        }
        s0.intoArray(c, co);
        t0.intoArray(c, co + LANES);
        s1.intoArray(c, co + cRow);
        t1.intoArray(c, co + cRow + LANES);
        s2.intoArray(c, co + 2 * cRow);
        t2.intoArray(c, co + 2 * cRow + LANES);
        s3.intoArray(c, co + 3 * cRow);
        t3.intoArray(c, co + 3 * cRow + LANES);
        s4.intoArray(c, co + 4 * cRow);
        t4.intoArray(c, co + 4 * cRow + LANES);
        s5.intoArray(c, co + 5 * cRow);
        t5.intoArray(c, co + 5 * cRow + LANES);
        s6.intoArray(c, co + 6 * cRow);
        t6.intoArray(c, co + 6 * cRow + LANES);
        s7.intoArray(c, co + 7 * cRow);
        t7.intoArray(c, co + 7 * cRow + LANES);
        s8.intoArray(c, co + 8 * cRow);
        t8.intoArray(c, co + 8 * cRow + LANES);
        s9.intoArray(c, co + 9 * cRow);
        t9.intoArray(c, co + 9 * cRow + LANES);
        s10.intoArray(c, co + 10 * cRow);
        t10.intoArray(c, co + 10 * cRow + LANES);
        s11.intoArray(c, co + 11 * cRow);
        t11.intoArray(c, co + 11 * cRow + LANES);
    }

    /** Six rows. */
    private static void rows6(
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            float[] c,
            int co,
            int cRow,
            int k,
            boolean load) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector t0 = FloatVector.zero(SPECIES);
        FloatVector s1 = FloatVector.zero(SPECIES);
        FloatVector t1 = FloatVector.zero(SPECIES);
        FloatVector s2 = FloatVector.zero(SPECIES);
        FloatVector t2 = FloatVector.zero(SPECIES);
        FloatVector s3 = FloatVector.zero(SPECIES);
        FloatVector t3 = FloatVector.zero(SPECIES);
        FloatVector s4 = FloatVector.zero(SPECIES);
        FloatVector t4 = FloatVector.zero(SPECIES);
        FloatVector s5 = FloatVector.zero(SPECIES);
        FloatVector t5 = FloatVector.zero(SPECIES);
        if (load) {
            s0 = FloatVector.fromArray(SPECIES, c, co);
            t0 = FloatVector.fromArray(SPECIES, c, co + LANES);
            s1 = FloatVector.fromArray(SPECIES, c, co + cRow);
            t1 = FloatVector.fromArray(SPECIES, c, co + cRow + LANES);
            s2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow);
            t2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow + LANES);
            s3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow);
            t3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow + LANES);
            s4 = FloatVector.fromArray(SPECIES, c, co + 4 * cRow);
            t4 = FloatVector.fromArray(SPECIES, c, co + 4 * cRow + LANES);
            s5 = FloatVector.fromArray(SPECIES, c, co + 5 * cRow);
            t5 = FloatVector.fromArray(SPECIES, c, co + 5 * cRow + LANES);
        }
        int a1 = ao + aRow;
        int a2 = ao + 2 * aRow;
        int a3 = ao + 3 * aRow;
        int a4 = ao + 4 * aRow;
        int a5 = ao + 5 * aRow;
        for (int i = 0; i < k; i++) {
            FloatVector p = FloatVector.fromArray(SPECIES, b, bo + i * bStep);
            FloatVector q = FloatVector.fromArray(SPECIES, b, bo + i * bStep + LANES);
            FloatVector x = FloatVector.broadcast(SPECIES, a[ao + i * aStep]);
            s0 = x.fma(p, s0);
            t0 = x.fma(q, t0);
            x = FloatVector.broadcast(SPECIES, a[a1 + i * aStep]);
            s1 = x.fma(p, s1);
            t1 = x.fma(q, t1);
            x = FloatVector.broadcast(SPECIES, a[a2 + i * aStep]);
            s2 = x.fma(p, s2);
            t2 = x.fma(q, t2);
            x = FloatVector.broadcast(SPECIES, a[a3 + i * aStep]);
            s3 = x.fma(p, s3);
            t3 = x.fma(q, t3);
            x = FloatVector.broadcast(SPECIES, a[a4 + i * aStep]);
            s4 = x.fma(p, s4);
            t4 = x.fma(q, t4);
            x = FloatVector.broadcast(SPECIES, a[a5 + i * aStep]);
            s5 = x.fma(p, s5);
            t5 = x.fma(q, t5);
        }
        s0.intoArray(c, co);
        t0.intoArray(c, co + LANES);
        s1.intoArray(c, co + cRow);
        t1.intoArray(c, co + cRow + LANES);
        s2.intoArray(c, co + 2 * cRow);
        t2.intoArray(c, co + 2 * cRow + LANES);
        s3.intoArray(c, co + 3 * cRow);
        t3.intoArray(c, co + 3 * cRow + LANES);
        s4.intoArray(c, co + 4 * cRow);
        t4.intoArray(c, co + 4 * cRow + LANES);
        s5.intoArray(c, co + 5 * cRow);
        t5.intoArray(c, co + 5 * cRow + LANES);
    }

    /** Four rows. */
    private static void rows4(
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            float[] c,
            int co,
            int cRow,
            int k,
            boolean load) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector t0 = FloatVector.zero(SPECIES);
        FloatVector s1 = FloatVector.zero(SPECIES);
        FloatVector t1 = FloatVector.zero(SPECIES);
        FloatVector s2 = FloatVector.zero(SPECIES);
        FloatVector t2 = FloatVector.zero(SPECIES);
        FloatVector s3 = FloatVector.zero(SPECIES);
        FloatVector t3 = FloatVector.zero(SPECIES);
        if (load) {
            s0 = FloatVector.fromArray(SPECIES, c, co);
            t0 = FloatVector.fromArray(SPECIES, c, co + LANES);
            s1 = FloatVector.fromArray(SPECIES, c, co + cRow);
            t1 = FloatVector.fromArray(SPECIES, c, co + cRow + LANES);
            s2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow);
            t2 = FloatVector.fromArray(SPECIES, c, co + 2 * cRow + LANES);
            s3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow);
            t3 = FloatVector.fromArray(SPECIES, c, co + 3 * cRow + LANES);
        }
        int a1 = ao + aRow;
        int a2 = ao + 2 * aRow;
        int a3 = ao + 3 * aRow;
        for (int i = 0; i < k; i++) {
            FloatVector p = FloatVector.fromArray(SPECIES, b, bo + i * bStep);
            FloatVector q = FloatVector.fromArray(SPECIES, b, bo + i * bStep + LANES);
            FloatVector x = FloatVector.broadcast(SPECIES, a[ao + i * aStep]);
            s0 = x.fma(p, s0);
            t0 = x.fma(q, t0);
            x = FloatVector.broadcast(SPECIES, a[a1 + i * aStep]);
            s1 = x.fma(p, s1);
            t1 = x.fma(q, t1);
            x = FloatVector.broadcast(SPECIES, a[a2 + i * aStep]);
            s2 = x.fma(p, s2);
            t2 = x.fma(q, t2);
            x = FloatVector.broadcast(SPECIES, a[a3 + i * aStep]);
            s3 = x.fma(p, s3);
            t3 = x.fma(q, t3);
        }
        s0.intoArray(c, co);
        t0.intoArray(c, co + LANES);
        s1.intoArray(c, co + cRow);
        t1.intoArray(c, co + cRow + LANES);
        s2.intoArray(c, co + 2 * cRow);
        t2.intoArray(c, co + 2 * cRow + LANES);
        s3.intoArray(c, co + 3 * cRow);
        t3.intoArray(c, co + 3 * cRow + LANES);
    }

    /** Two rows. */
    private static void rows2(
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            float[] c,
            int co,
            int cRow,
            int k,
            boolean load) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector t0 = FloatVector.zero(SPECIES);
        FloatVector s1 = FloatVector.zero(SPECIES);
        FloatVector t1 = FloatVector.zero(SPECIES);
        if (load) {
            s0 = FloatVector.fromArray(SPECIES, c, co);
            t0 = FloatVector.fromArray(SPECIES, c, co + LANES);
            s1 = FloatVector.fromArray(SPECIES, c, co + cRow);
            t1 = FloatVector.fromArray(SPECIES, c, co + cRow + LANES);
        }
        int a1 = ao + aRow;
        for (int i = 0; i < k; i++) {
            FloatVector p = FloatVector.fromArray(SPECIES, b, bo + i * bStep);
            FloatVector q = FloatVector.fromArray(SPECIES, b, bo + i * bStep + LANES);
            FloatVector x = FloatVector.broadcast(SPECIES, a[ao + i * aStep]);
            s0 = x.fma(p, s0);
            t0 = x.fma(q, t0);
            x = FloatVector.broadcast(SPECIES, a[a1 + i * aStep]);
            s1 = x.fma(p, s1);
            t1 = x.fma(q, t1);
        }
        s0.intoArray(c, co);
        t0.intoArray(c, co + LANES);
        s1.intoArray(c, co + cRow);
        t1.intoArray(c, co + cRow + LANES);
    }

    /** One row. */
    private static void rows1(
            float[] a, int ao, int aStep, float[] b, int bo, int bStep, float[] c, int co, int k, boolean load) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector t0 = FloatVector.zero(SPECIES);
        if (load) {
            s0 = FloatVector.fromArray(SPECIES, c, co);
            t0 = FloatVector.fromArray(SPECIES, c, co + LANES);
        }
        for (int i = 0; i < k; i++) {
            FloatVector p = FloatVector.fromArray(SPECIES, b, bo + i * bStep);
            FloatVector q = FloatVector.fromArray(SPECIES, b, bo + i * bStep + LANES);
            FloatVector x = FloatVector.broadcast(SPECIES, a[ao + i * aStep]);
            s0 = x.fma(p, s0);
            t0 = x.fma(q, t0);
        }
        s0.intoArray(c, co);
        t0.intoArray(c, co + LANES);
    }
}
