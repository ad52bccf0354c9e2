package io.mor.report;

import io.mor.runtime.MorException;
import io.mor.study.StudyResults;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The report of a study: one HTML file with its data, style, program and library of charts inside.
 *
 * <p>It loads nothing: a content security policy in it forbids any request, and runs no script but the two that were written into it. Nothing that
 * a study holds can become markup: data are JSON without {@code <}, and the page only ever makes text of them. Thread safety: immutable.
 */
public final class StudyReport {

    private static final Pattern PLACE = Pattern.compile("\\{\\{([a-z-]+)}}");
    private static final List<String> SCRIPTS = List.of("base.js", "ranking.js", "charts.js", "samples.js", "page.js");

    private final String name;
    private final String data;

    /**
     * The report of what a study found so far; trials that are not done or failed are named in it.
     *
     * @param results the study
     * @param options what the report says of itself
     */
    public StudyReport(StudyResults results, ReportOptions options) {
        this.name = results.study().name();
        this.data = new ReportData(results, options).json();
    }

    /** The whole page. */
    public String html() {
        String library = "\n" + resource("echarts/echarts.common.min.js") + "\n";
        String script = "\n(() => {\n'use strict';\n"
                + SCRIPTS.stream().map(StudyReport::resource).collect(Collectors.joining("\n")) + "})();\n";
        Map<String, String> parts = Map.of(
                "title", escaped(name + " · mor study"),
                "style", resource("report.css"),
                "data", data,
                "charts-library", inlined(library),
                "script", inlined(script),
                "script-hashes", Digest.source(library) + " " + Digest.source(script));
        return PLACE.matcher(resource("report.html"))
                .replaceAll(place -> Matcher.quoteReplacement(parts.get(place.group(1))));
    }

    /**
     * Writes the page, beside its place first and then renamed, so that a report that was there before stays whole if this fails.
     *
     * @throws MorException if it cannot be written
     */
    public void write(Path target) {
        Path temporary = target.resolveSibling(target.getFileName() + ".tmp");
        try {
            try {
                Files.writeString(temporary, html());
                move(temporary, target);
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            throw new MorException("the report " + target + " cannot be written: " + reason(e), e);
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException file ->
                "there is no folder " + Path.of(file.getFile()).toAbsolutePath().getParent();
            case AccessDeniedException file -> "no permission for " + file.getFile();
            case FileSystemException file when file.getReason() != null -> file.getReason();
            default -> String.valueOf(e.getMessage());
        };
    }

    private static String resource(String file) {
        try (InputStream stream = StudyReport.class.getResourceAsStream(file)) {
            if (stream == null) {
                throw new IllegalStateException("the program lacks its resource " + file);
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A script that can stand in a page as it is: nothing in it may end the element or begin a comment (HTML, restrictions for script). */
    private static String inlined(String script) {
        String lower = script.toLowerCase(Locale.ROOT);
        if (lower.contains("</script") || lower.contains("<script") || lower.contains("<!--")) {
            throw new IllegalStateException("a script of the report cannot be inlined");
        }
        return script;
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
