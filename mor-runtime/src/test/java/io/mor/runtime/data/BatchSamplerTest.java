package io.mor.runtime.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BatchSamplerTest {

    private static TokenDataset numbers(int size) {
        return TokenDataset.of("numbers", IntStream.range(0, size).toArray(), Math.max(1, size));
    }

    @Test
    void sequentialRowsAreContiguousAndDoNotOverlap() {
        SequentialRows sampler = new SequentialRows(numbers(17), 2, 5);
        assertEquals(3, sampler.rowCount());
        Batch first = sampler.batch(0);
        assertArrayEquals(new int[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, first.inputs());
        assertArrayEquals(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, first.targets());
        assertArrayEquals(
                new int[] {10, 11, 12, 13, 14, 0, 1, 2, 3, 4},
                sampler.batch(1).inputs(),
                "after the last row the first");
        assertArrayEquals(sampler.batch(0).inputs(), sampler.batch(3).inputs());
    }

    @Test
    void theLastTokenIsATargetWhereRowsFitExactly() {
        SequentialRows sampler = new SequentialRows(numbers(16), 1, 5);
        assertEquals(3, sampler.rowCount());
        assertEquals(15, sampler.batch(2).targets()[4]);
        assertEquals(
                2, new SequentialRows(numbers(15), 1, 5).rowCount(), "15 tokens lack the last target of a third row");
    }

    @Test
    void evaluationSeesEachRowOnce() {
        SequentialRows sampler = new SequentialRows(numbers(16), 7, 5);
        Batch all = sampler.rows(0, 3);
        assertArrayEquals(IntStream.range(0, 15).toArray(), all.inputs());
        assertArrayEquals(IntStream.range(1, 16).toArray(), all.targets());
        assertThrows(IndexOutOfBoundsException.class, () -> sampler.rows(2, 2));
    }

    @Test
    void randomOffsetsAreAFunctionOfTheMicroBatch() {
        RandomOffsets sampler = new RandomOffsets(numbers(1009), 3, 7, 42);
        RandomOffsets resumed = new RandomOffsets(numbers(1009), 3, 7, 42);
        Batch later = sampler.batch(1000);
        sampler.batch(3);
        assertArrayEquals(later.inputs(), resumed.batch(1000).inputs());
        assertFalse(Arrays.equals(later.inputs(), resumed.batch(1001).inputs()));
        assertFalse(Arrays.equals(
                later.inputs(),
                new RandomOffsets(numbers(1009), 3, 7, 43).batch(1000).inputs()));
        for (int row = 0; row < 3; row++) {
            for (int t = 0; t < 7; t++) {
                assertEquals(later.inputs()[row * 7] + t, later.inputs()[row * 7 + t]);
                assertEquals(later.inputs()[row * 7 + t] + 1, later.targets()[row * 7 + t]);
            }
        }
    }

    @Test
    void everyOffsetIsDrawnAboutEquallyOften() {
        int offsets = 11;
        RandomOffsets sampler = new RandomOffsets(numbers(offsets + 3), 4, 3, 1);
        int[] counts = new int[offsets];
        int[] inputs = new int[12];
        int[] targets = new int[12];
        for (int n = 0; n < 10_000; n++) {
            sampler.fill(n, inputs, targets);
            for (int row = 0; row < 4; row++) {
                counts[inputs[3 * row]]++;
            }
        }
        double expected = 40_000.0 / offsets;
        double chiSquare = Arrays.stream(counts)
                .mapToDouble(count -> (count - expected) * (count - expected) / expected)
                .sum();
        assertTrue(
                chiSquare < 29.6,
                "chi-square " + chiSquare + " with 10 degrees of freedom; 29.6 is the 0.1 % quantile: "
                        + Arrays.toString(counts));
    }

    @Test
    void aCorpusShorterThanAContextIsRefusedWithARemedy() {
        for (int size : new int[] {0, 1, 5}) {
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> new SequentialRows(numbers(size), 1, 5));
            assertTrue(
                    e.getMessage().contains("numbers has " + size + " tokens")
                            && e.getMessage().contains("6"),
                    e.getMessage());
            assertThrows(IllegalArgumentException.class, () -> new RandomOffsets(numbers(size), 1, 5, 0));
        }
        assertEquals(1, new SequentialRows(numbers(6), 1, 5).rowCount());
        assertArrayEquals(
                new int[] {0, 1, 2, 3, 4},
                new RandomOffsets(numbers(6), 1, 5, 0).batch(9).inputs());
        assertThrows(IllegalArgumentException.class, () -> new SequentialRows(numbers(6), 0, 5));
        assertThrows(IllegalArgumentException.class, () -> TokenDataset.of("a", new int[] {3}, 3));
    }
}
