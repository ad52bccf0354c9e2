package io.mor.report;

import io.mor.study.StudyResults.Point;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * A figure over training.
 *
 * @param points ascending in step
 */
record Curve(List<Point> points) {

    Curve {
        points = List.copyOf(points);
    }

    /** At most so many points, each the mean of a stretch of neighbours; the same points if there are not more. */
    Curve ofAtMost(int count) {
        int size = points.size();
        if (size <= count) {
            return this;
        }
        return new Curve(IntStream.range(0, count)
                .mapToObj(i -> mean(points.subList(
                        Math.toIntExact((long) i * size / count), Math.toIntExact((i + 1L) * size / count))))
                .toList());
    }

    private static Point mean(List<Point> stretch) {
        return new Point(
                Math.round(mean(stretch, Point::step)),
                Math.round(mean(stretch, Point::tokens)),
                mean(stretch, Point::modelFlops),
                mean(stretch, Point::paperFlops),
                mean(stretch, Point::seconds),
                mean(stretch, Point::value));
    }

    private static double mean(List<Point> stretch, ToDoubleFunction<Point> figure) {
        return stretch.stream().mapToDouble(figure).average().orElseThrow();
    }
}
