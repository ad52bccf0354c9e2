package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.backend.reference.ReferenceBackend;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Attention over sequences that are longer than its tiles and blocks. */
final class AttentionTest {

    private static final AttentionShape[] SHAPES = {
        new AttentionShape(4, 2, 8),
        new AttentionShape(3, 1, 16),
        new AttentionShape(2, 2, 24),
        new AttentionShape(6, 2, 32),
        new AttentionShape(3, 3, 64),
        new AttentionShape(2, 1, 80)
    };

    /** Sequences of 300, 1, 2, 0, 37 and 5 tokens, each of which sees the last {@code window} (0: all). */
    private record Case(AttentionShape shape, int[] start, int[] end, int longest) {

        static Case of(AttentionShape shape, int window) {
            int[] lengths = {300, 1, 2, 0, 37, 5};
            int rows = Arrays.stream(lengths).sum();
            int[] start = new int[rows];
            int[] end = new int[rows];
            int row = 0;
            int first = 0;
            for (int length : lengths) {
                for (int i = 0; i < length; i++, row++) {
                    start[row] = window == 0 ? first : Math.max(first, row + 1 - window);
                    end[row] = row + 1;
                }
                first += length;
            }
            return new Case(shape, start, end, 300);
        }

        int rows() {
            return start.length;
        }
    }

    /** Operands of a case on a backend, the same numbers on each. */
    private record Operands(
            Backend backend,
            Case c,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor out,
            Tensor statistics,
            AttentionRanges ranges) {

        static Operands of(Backend backend, Case c) {
            int rows = c.rows();
            return new Operands(
                    backend,
                    c,
                    numbers(backend, rows, c.shape.queryWidth(), "q"),
                    numbers(backend, rows, c.shape.kvWidth(), "k"),
                    numbers(backend, rows, c.shape.kvWidth(), "v"),
                    backend.allocate(rows, c.shape.queryWidth()),
                    backend.allocate(rows, c.shape.heads()),
                    new AttentionRanges(ints(backend, c.start), ints(backend, c.end), Optional.empty(), c.longest));
        }

        void forward() {
            backend.attention(out, statistics, q, k, v, ranges, c.shape);
        }

        Tensor[] backward() {
            int rows = c.rows();
            Tensor dout = numbers(backend, rows, c.shape.queryWidth(), "dout");
            Tensor dq = backend.allocate(rows, c.shape.queryWidth());
            Tensor dk = numbers(backend, rows, c.shape.kvWidth(), "dk");
            Tensor dv = numbers(backend, rows, c.shape.kvWidth(), "dv");
            backend.attentionBackward(dq, dk, dv, q, k, v, out, statistics, dout, ranges, c.shape);
            return new Tensor[] {dq, dk, dv};
        }
    }

    @Test
    void resultsAndGradientsAreThoseOfTheReference() {
        for (AttentionShape shape : SHAPES) {
            for (int window : new int[] {0, 1, 9}) {
                Case c = Case.of(shape, window);
                try (CpuBackend cpu = new CpuBackend(new CpuConfig(2));
                        ReferenceBackend reference = new ReferenceBackend()) {
                    Operands found = Operands.of(cpu, c);
                    Operands expected = Operands.of(reference, c);
                    found.forward();
                    expected.forward();
                    String place = shape + ", window " + window;
                    close(expected, expected.out, found, found.out, place + ", out");
                    close(expected, expected.statistics, found, found.statistics, place + ", statistics");
                    Tensor[] wanted = expected.backward();
                    Tensor[] gradients = found.backward();
                    for (int i = 0; i < wanted.length; i++) {
                        close(expected, wanted[i], found, gradients[i], place + ", gradient " + i);
                    }
                }
            }
        }
    }

    @Test
    void aRowAloneAndThroughATableHasTheSameBits() {
        for (AttentionShape shape : SHAPES) {
            for (int window : new int[] {0, 9}) {
                Case c = Case.of(shape, window);
                try (CpuBackend cpu = new CpuBackend(new CpuConfig(2))) {
                    Operands all = Operands.of(cpu, c);
                    all.forward();
                    float[] out = cpu.readFloats(all.out);
                    float[] statistics = cpu.readFloats(all.statistics);

                    // the same entries scattered over a pool: entry e is in row (7 e + 3) mod rows
                    int rows = c.rows(); // 345: no multiple of 7
                    int[] table = IntStream.range(0, rows)
                            .map(e -> (7 * e + 3) % rows)
                            .toArray();
                    Tensor poolKeys = cpu.allocate(rows, shape.kvWidth());
                    Tensor poolValues = cpu.allocate(rows, shape.kvWidth());
                    cpu.scatterRows(poolKeys, ints(cpu, table), all.k);
                    cpu.scatterRows(poolValues, ints(cpu, table), all.v);
                    AttentionRanges paged = new AttentionRanges(
                            all.ranges.start(), all.ranges.end(), Optional.of(ints(cpu, table)), c.longest);
                    cpu.attention(all.out, all.statistics, all.q, poolKeys, poolValues, paged, shape);
                    assertArrayEquals(out, cpu.readFloats(all.out), shape + " through a table");
                    assertArrayEquals(statistics, cpu.readFloats(all.statistics), shape + " through a table");

                    for (int row = 0; row < rows; row += 13) {
                        int count = Math.min(1 + row % 6, rows - row);
                        Tensor some = cpu.allocate(count, shape.queryWidth());
                        Tensor someStatistics = cpu.allocate(count, shape.heads());
                        for (AttentionRanges ranges : new AttentionRanges[] {all.ranges, paged}) {
                            boolean isPaged = ranges.entryRows().isPresent();
                            AttentionRanges own = new AttentionRanges(
                                    cpu.view(ranges.start(), row, count),
                                    cpu.view(ranges.end(), row, count),
                                    ranges.entryRows(),
                                    c.longest);
                            Tensor q = cpu.view(all.q, row, Extent.exact(count), shape.queryWidth());
                            cpu.attention(
                                    some,
                                    someStatistics,
                                    q,
                                    isPaged ? poolKeys : all.k,
                                    isPaged ? poolValues : all.v,
                                    own,
                                    shape);
                            int width = shape.queryWidth();
                            assertArrayEquals(
                                    Arrays.copyOfRange(out, row * width, (row + count) * width),
                                    cpu.readFloats(some),
                                    shape + " row " + row);
                            assertArrayEquals(
                                    Arrays.copyOfRange(statistics, row * shape.heads(), (row + count) * shape.heads()),
                                    cpu.readFloats(someStatistics),
                                    shape + " row " + row);
                        }
                    }
                }
            }
        }
    }

    @Test
    void theNumberOfThreadsDoesNotChangeABit() {
        Case c = Case.of(new AttentionShape(6, 2, 32), 0);
        float[][] first = null;
        for (int threads : new int[] {1, 2, 3}) {
            try (CpuBackend cpu = new CpuBackend(new CpuConfig(threads))) {
                Operands operands = Operands.of(cpu, c);
                operands.forward();
                Tensor[] gradients = operands.backward();
                float[][] found = {
                    cpu.readFloats(operands.out),
                    cpu.readFloats(gradients[0]),
                    cpu.readFloats(gradients[1]),
                    cpu.readFloats(gradients[2])
                };
                first = first == null ? found : first;
                for (int i = 0; i < found.length; i++) {
                    assertArrayEquals(first[i], found[i], threads + " threads, result " + i);
                }
            }
        }
    }

    private static void close(Operands expected, Tensor a, Operands found, Tensor b, String what) {
        double[] wanted = expected.backend.readDoubles(a);
        double[] got = found.backend.readDoubles(b);
        double largest = Arrays.stream(wanted).map(Math::abs).reduce(1, Math::max);
        for (int i = 0; i < wanted.length; i++) {
            assertEquals(wanted[i], got[i], 5e-6 * largest, what + " at " + i);
        }
    }

    /** Uniform in -2 .. 2, exact in single precision. */
    private static Tensor numbers(Backend backend, int rows, int columns, String name) {
        RandomKey key = RandomKey.of(7, name, 0);
        double[] values = IntStream.range(0, rows * columns)
                .mapToDouble(i -> (float) (4 * key.uniform(0, i) - 2))
                .toArray();
        Tensor tensor = backend.allocate(rows, columns);
        backend.write(tensor, values);
        return tensor;
    }

    private static IntTensor ints(Backend backend, int[] values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }
}
