package io.mor.report;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The colours of the variants, as people with and without colour blindness see them (simulation of Machado, Oliveira and Fernandes, 2009). */
class PaletteTest {

    /** Distance in CIELAB; 2.3 is just noticeable side by side. Dashes and symbols tell the variants apart as well. */
    private static final double DISTANCE = 12;

    /** What WCAG 2.1 asks of graphics. */
    private static final double CONTRAST = 3;

    private static final int VARIANTS = 8;

    private static final Map<String, double[][]> SIGHT = Map.of(
            "all colours", new double[][] {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
            "no red",
                    new double[][] {
                        {0.152286, 1.052583, -0.204868},
                        {0.114503, 0.786281, 0.099216},
                        {-0.003882, -0.048116, 1.051998}
                    },
            "no green",
                    new double[][] {
                        {0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}
                    },
            "no blue",
                    new double[][] {
                        {1.255528, -0.076749, -0.178779},
                        {-0.078411, 0.930809, 0.147602},
                        {0.004733, 0.691367, 0.303900}
                    });

    private static final Pattern PAIR = Pattern.compile("--([\\w-]+): light-dark\\((#\\w{6}), (#\\w{6})\\)");

    private static Map<String, String> colours(int theme) throws IOException {
        try (InputStream style = PaletteTest.class.getResourceAsStream("report.css")) {
            Matcher pairs = PAIR.matcher(new String(style.readAllBytes(), StandardCharsets.UTF_8));
            Map<String, String> colours = new HashMap<>();
            while (pairs.find()) {
                colours.put(pairs.group(1), pairs.group(2 + theme));
            }
            return colours;
        }
    }

    @Test
    void colourBlindPeopleCanTellTheVariantsApart() throws IOException {
        List<Executable> checks = new ArrayList<>();
        for (int theme = 0; theme < 2; theme++) {
            Map<String, String> colours = colours(theme);
            List<double[]> series = IntStream.rangeClosed(1, VARIANTS)
                    .mapToObj(i -> linear(colours.get("series-" + i)))
                    .toList();
            SIGHT.forEach((sight, matrix) -> {
                for (int i = 0; i < VARIANTS; i++) {
                    for (int j = 0; j < i; j++) {
                        double distance =
                                distance(lab(times(matrix, series.get(i))), lab(times(matrix, series.get(j))));
                        String pair = sight + ": " + (j + 1) + " and " + (i + 1) + " are " + distance + " apart";
                        checks.add(() -> assertTrue(distance >= DISTANCE, pair));
                    }
                }
            });
        }
        assertEquals(2 * SIGHT.size() * VARIANTS * (VARIANTS - 1) / 2, checks.size());
        assertAll(checks);
    }

    @Test
    void theVariantsStandOutFromTheirSurface() throws IOException {
        for (int theme = 0; theme < 2; theme++) {
            Map<String, String> colours = colours(theme);
            for (int i = 1; i <= VARIANTS; i++) {
                double light = luminance(linear(colours.get("series-" + i)));
                double surface = luminance(linear(colours.get("surface")));
                double contrast = (Math.max(light, surface) + 0.05) / (Math.min(light, surface) + 0.05);
                assertTrue(contrast >= CONTRAST, "theme " + theme + ", variant " + i + ": " + contrast);
            }
        }
    }

    private static double[] linear(String colour) {
        return IntStream.of(1, 3, 5)
                .mapToDouble(at -> Integer.parseInt(colour, at, at + 2, 16) / 255.0)
                .map(value -> value <= 0.04045 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4))
                .toArray();
    }

    private static double luminance(double[] rgb) {
        return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    }

    private static double[] times(double[][] matrix, double[] rgb) {
        return IntStream.range(0, 3)
                .mapToDouble(row -> IntStream.range(0, 3)
                        .mapToDouble(column -> matrix[row][column] * rgb[column])
                        .sum())
                .map(value -> Math.clamp(value, 0, 1))
                .toArray();
    }

    private static double[] lab(double[] rgb) {
        double x = cubeRoot((0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2]) / 0.95047);
        double y = cubeRoot(luminance(rgb));
        double z = cubeRoot((0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2]) / 1.08883);
        return new double[] {116 * y - 16, 500 * (x - y), 200 * (y - z)};
    }

    private static double cubeRoot(double value) {
        return value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16.0 / 116;
    }

    private static double distance(double[] a, double[] b) {
        return Math.sqrt(IntStream.range(0, 3)
                .mapToDouble(i -> (a[i] - b[i]) * (a[i] - b[i]))
                .sum());
    }
}
