package io.mor.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.study.StudyResults.DepthHistogram;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.SampleToken;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Study;
import io.mor.study.StudyResults.TextSample;
import io.mor.study.StudyResults.Trial;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.duckdb.DuckDBDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StudyDatabaseTest {

    private static final Study STUDY = new Study(
            "a study",
            "study: a study\n",
            Instant.ofEpochMilli(1_700_000_000_123L),
            Instant.ofEpochMilli(1_700_000_001_000L),
            "0.1");

    @TempDir
    private Path folder;

    private static Trial trial(String id, String variant, long seed, double loss) {
        return new Trial(
                id,
                Kind.TRAINING,
                Optional.empty(),
                variant,
                Map.of("router.type", "expert-choice"),
                seed,
                "name: x\n",
                Map.of("training.steps", "10"),
                new Plan(1234, 10, 640, 1.5e9, 5e8, 96.5),
                State.DONE,
                Optional.empty(),
                Map.of("java", "25"),
                Map.of(
                        "cross-entropy",
                        List.of(new Point(0, 64, 1.5e8, 5e7, 0.25, 5.5), new Point(9, 640, 1.5e9, 5e8, 2.5, loss))),
                List.of(new DepthHistogram(9, List.of(0.0, 0.25, 0.75))),
                Map.of(StudyResults.CAUSAL_LOSS, loss),
                List.of(
                        new TextSample(
                                "validation text",
                                List.of(
                                        new SampleToken("é'\n", 2, List.of(0.5, 0.125)),
                                        new SampleToken("b", 1, List.of(0.5)))),
                        new TextSample("another", List.of(new SampleToken("", 1, List.of())))));
    }

    private static Trial planned(String id, String parent) {
        return new Trial(
                id,
                Kind.EVALUATION,
                Optional.of(parent),
                "variant of " + parent,
                Map.of(),
                1,
                "",
                Map.of(),
                new Plan(0, 0, 0, 0, 0, 0),
                State.FAILED,
                Optional.of("no luck"),
                Map.of(),
                Map.of(),
                List.of(),
                Map.of(),
                List.of());
    }

    @Test
    void whatIsWrittenIsReadEqual() {
        StudyResults results = new StudyResults(STUDY, List.of(trial("b", "x", 1, 1.25), planned("a", "b")));
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(results);
        }
        try (StudyDatabase database = StudyDatabase.read(folder)) {
            assertEquals(results, database.results());
        }
    }

    @Test
    void aTrialThatIsPutAgainReplacesItsFormerSelfAlone() {
        Trial other = trial("b", "y", 2, 2.5);
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(new StudyResults(STUDY, List.of(trial("a", "x", 1, 1.25), other)));
            database.put(STUDY, trial("a", "x", 1, 1.0), 0);
            assertEquals(
                    List.of(trial("a", "x", 1, 1.0), other), database.results().trials());
        }
    }

    @Test
    void theRankingHasMeanAndSpreadOfTheCausalLossOverSeeds() {
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(new StudyResults(
                    STUDY, List.of(trial("a", "worse", 1, 3), trial("b", "better", 1, 1), trial("c", "better", 2, 2))));
            StudyDatabase.Answer answer = database.ask("SELECT variant, seeds, causal_loss, spread FROM ranking");
            assertEquals(List.of("variant", "seeds", "causal_loss", "spread"), answer.columns());
            assertEquals("better", answer.rows().getFirst().getFirst().orElseThrow());
            assertEquals("1.5", answer.rows().getFirst().get(2).orElseThrow());
            assertEquals(Optional.empty(), answer.rows().getLast().get(3), "one seed has no spread");
        }
    }

    @Test
    void aWrongQuestionIsAUsageErrorAndReadersCannotWrite() {
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(new StudyResults(STUDY, List.of()));
        }
        try (StudyDatabase database = StudyDatabase.read(folder)) {
            assertTrue(assertThrows(UsageException.class, () -> database.ask("SELECT nothing FROM trial"))
                    .getMessage()
                    .contains("nothing"));
            assertThrows(MorException.class, () -> database.put(new StudyResults(STUDY, List.of())));
        }
    }

    @Test
    void answersAreExportedAsCsvJsonAndParquet() throws IOException {
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(new StudyResults(STUDY, List.of(trial("a", "x, y", 1, 1.25))));
            database.export("SELECT id, variant FROM trial;", StudyDatabase.Format.CSV, folder.resolve("it's.csv"));
            assertEquals("id,variant\na,\"x, y\"\n", Files.readString(folder.resolve("it's.csv")));
            database.export("SELECT id, seed FROM trial", StudyDatabase.Format.JSON, folder.resolve("t.json"));
            assertEquals(
                    "[{\"id\":\"a\",\"seed\":1}]",
                    Files.readString(folder.resolve("t.json")).replaceAll("\\s", ""));
            database.export("SELECT * FROM metric", StudyDatabase.Format.PARQUET, folder.resolve("t.parquet"));
            assertEquals(
                    "PAR1",
                    new String(Files.readAllBytes(folder.resolve("t.parquet")), 0, 4, StandardCharsets.US_ASCII));
            assertEquals(
                    "2",
                    database.ask("SELECT count(*) FROM '" + folder.resolve("t.parquet") + "'")
                            .rows()
                            .getFirst()
                            .getFirst()
                            .orElseThrow());
            assertTrue(assertThrows(
                            MorException.class,
                            () -> database.export("SELECT 1", StudyDatabase.Format.CSV, folder.resolve("none/x.csv")))
                    .getMessage()
                    .contains("cannot be written"));
        }
    }

    @Test
    void aDatabaseOfANewerVersionIsRefusedAndLeftAlone() throws SQLException, IOException {
        try (StudyDatabase database = StudyDatabase.write(folder)) {
            database.put(new StudyResults(STUDY, List.of()));
        }
        Path file = folder.resolve(StudyDatabase.FILE);
        try (Connection connection = new DuckDBDriver().connect("jdbc:duckdb:" + file, new Properties());
                Statement statement = connection.createStatement()) {
            statement.execute("UPDATE schema_version SET version = 99");
        }
        byte[] before = Files.readAllBytes(file);
        for (boolean write : List.of(true, false)) {
            MorException refused = assertThrows(
                    MorException.class,
                    () -> (write ? StudyDatabase.write(folder) : StudyDatabase.read(folder)).close());
            assertTrue(
                    refused.getMessage().contains("newer version")
                            && refused.getMessage().contains("99"),
                    refused.getMessage());
        }
        assertEquals(before.length, Files.size(file));
    }

    @Test
    void aFileThatIsNoDatabaseAndAMissingOneAreNamed() throws IOException {
        assertTrue(assertThrows(
                        MorException.class, () -> StudyDatabase.read(folder).close())
                .getMessage()
                .contains("no folder of a study"));
        Files.writeString(
                folder.resolve(StudyDatabase.FILE), "not a database at all, but long enough to be one ".repeat(500));
        assertThrows(
                UnreadableDatabaseException.class,
                () -> StudyDatabase.write(folder).close());
    }
}
