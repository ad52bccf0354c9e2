package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.Study;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportCommandTest {

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @TempDir
    private Path folder;

    private Path study;

    @BeforeEach
    void makeStudy() throws IOException {
        study = Files.createDirectory(folder.resolve("study"));
        Instant now = Instant.parse("2026-01-02T03:04:05Z");
        try (StudyDatabase database = StudyDatabase.write(study)) {
            database.put(new StudyResults(new Study("my study", "name: my study\n", now, now, "0.1.0"), List.of()));
        }
    }

    private int run(Object... arguments) {
        out.reset();
        err.reset();
        Console console = new Console(
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                false,
                false,
                false,
                100,
                OptionalLong.empty());
        return CommandRunner.run(
                console, Stream.of(arguments).map(Object::toString).toArray(String[]::new));
    }

    private String said() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private void assertRefused(int code, String... parts) throws IOException {
        for (String part : parts) {
            assertTrue(said().contains(part), () -> part + " is not in: " + said());
        }
        assertEquals(1, said().lines().count(), this::said);
        assertEquals("", out.toString(StandardCharsets.UTF_8));
        try (Stream<Path> files = Files.walk(folder)) {
            assertFalse(files.anyMatch(file -> file.toString().endsWith(".tmp")), "a half-written file stays");
        }
        assertTrue(code == ExitCode.FAILURE || code == ExitCode.USAGE);
    }

    @Test
    void theReportStandsInTheStudysFolderAndItsPathIsPrinted() throws IOException {
        assertEquals(ExitCode.SUCCESS, run("report", study));
        Path report = study.resolve("report.html");
        assertEquals(report + System.lineSeparator(), out.toString(StandardCharsets.UTF_8));
        assertTrue(Files.readString(report).contains("<title>my study"));
    }

    @Test
    void outSaysWhereAndReplacesAnOlderReport() throws IOException {
        Path target = Files.writeString(folder.resolve("my.html"), "old");
        assertEquals(ExitCode.SUCCESS, run("report", study, "--out", target));
        assertTrue(Files.readString(target).startsWith("<!doctype html>"));
        assertFalse(Files.exists(study.resolve("report.html")));
    }

    @Test
    void whatCannotBeReportedIsOneMessage() throws IOException {
        assertRefused(run("report", folder.resolve("nowhere")), "nowhere", "no folder of a study", "mor ablate");
        assertRefused(run("report", folder), folder.toString(), "no folder of a study");
        assertRefused(run("report", study, "--out", folder), "--out", "is a folder", "report.html");
        assertRefused(
                run("report", study, "--out", folder.resolve("no/such/report.html")),
                "report.html",
                "there is no folder",
                "such");
        Files.writeString(study.resolve(StudyDatabase.FILE), "not a database");
        assertRefused(run("report", study), StudyDatabase.FILE);
    }
}
