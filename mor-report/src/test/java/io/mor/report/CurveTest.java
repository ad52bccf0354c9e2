package io.mor.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.mor.study.StudyResults.Point;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CurveTest {

    private static Curve curve(int points) {
        return new Curve(IntStream.range(0, points)
                .mapToObj(i -> new Point(i, 10L * i, 100.0 * i, 50.0 * i, i / 2.0, 3.0 * i))
                .toList());
    }

    @Test
    void aShortCurveStaysAsItIs() {
        Curve short7 = curve(7);
        assertSame(short7, short7.ofAtMost(7));
        assertEquals(0, curve(0).ofAtMost(5).points().size());
    }

    @Test
    void everyPointOfALongCurveIsInTheMeanOfExactlyOneStretch() {
        for (int size : new int[] {11, 97, 100, 1009}) {
            List<Point> drawn = curve(size).ofAtMost(10).points();
            assertEquals(10, drawn.size());
            double weighted = 0;
            for (int i = 0; i < 10; i++) {
                int from = i * size / 10;
                int to = (i + 1) * size / 10;
                double mean = (from + to - 1) / 2.0;
                assertEquals(3 * mean, drawn.get(i).value(), 1e-9);
                assertEquals(100 * mean, drawn.get(i).modelFlops(), 1e-9);
                assertEquals(Math.round(mean), drawn.get(i).step());
                weighted += drawn.get(i).value() * (to - from);
            }
            assertEquals(3.0 * size * (size - 1) / 2, weighted, 1e-6 * size * size);
        }
    }
}
