package io.mor.study;

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
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.duckdb.DuckDBAppender;
import org.duckdb.DuckDBConnection;
import org.duckdb.DuckDBDriver;

/**
 * The database of a study: one DuckDB file in the study's folder. Everything in it can be made again from the folders of the trials, so it may be
 * deleted at any time.
 *
 * <p>Each write is one transaction: after a crash the file holds all of it or nothing. One process writes at a time, and while one has the file
 * open for writing no other can read it; so it is opened for moments only, and opening waits a little for others.
 *
 * <p>Thread safety: one thread.
 */
public final class StudyDatabase implements AutoCloseable {

    /** Name of the file in the study's folder. */
    public static final String FILE = "study.duckdb";

    /** The version of the schema that this program writes; it reads no newer one. */
    public static final int SCHEMA_VERSION = 1;

    private static final long PATIENCE_NANOS = 15_000_000_000L;
    private static final long PAUSE_MILLIS = 50;

    private static final List<String> SCHEMA = List.of(
            "CREATE TABLE schema_version (version INTEGER NOT NULL, written_by VARCHAR NOT NULL)",
            """
            CREATE TABLE study (name VARCHAR NOT NULL, definition VARCHAR NOT NULL, created_millis BIGINT NOT NULL,
              updated_millis BIGINT NOT NULL, mor_version VARCHAR NOT NULL)""",
            """
            CREATE TABLE trial (id VARCHAR NOT NULL, place INTEGER NOT NULL, kind VARCHAR NOT NULL, parent VARCHAR, variant VARCHAR NOT NULL,
              seed BIGINT NOT NULL, state VARCHAR NOT NULL, failure VARCHAR, config VARCHAR NOT NULL, parameters BIGINT NOT NULL,
              steps BIGINT NOT NULL, tokens BIGINT NOT NULL, model_flops DOUBLE NOT NULL, paper_flops DOUBLE NOT NULL,
              kv_bytes_per_token DOUBLE NOT NULL)""",
            "CREATE TABLE axis (trial VARCHAR NOT NULL, place INTEGER NOT NULL, axis VARCHAR NOT NULL, value VARCHAR NOT NULL)",
            "CREATE TABLE config (trial VARCHAR NOT NULL, place INTEGER NOT NULL, key VARCHAR NOT NULL, value VARCHAR NOT NULL)",
            "CREATE TABLE environment (trial VARCHAR NOT NULL, place INTEGER NOT NULL, name VARCHAR NOT NULL, value VARCHAR NOT NULL)",
            """
            CREATE TABLE metric (trial VARCHAR NOT NULL, name VARCHAR NOT NULL, step BIGINT NOT NULL, tokens BIGINT NOT NULL,
              model_flops DOUBLE NOT NULL, paper_flops DOUBLE NOT NULL, seconds DOUBLE NOT NULL, value DOUBLE NOT NULL)""",
            "CREATE TABLE depth (trial VARCHAR NOT NULL, step BIGINT NOT NULL, depth INTEGER NOT NULL, share DOUBLE NOT NULL)",
            "CREATE TABLE final (trial VARCHAR NOT NULL, place INTEGER NOT NULL, name VARCHAR NOT NULL, value DOUBLE NOT NULL)",
            """
            CREATE TABLE sample (trial VARCHAR NOT NULL, sample INTEGER NOT NULL, sample_name VARCHAR NOT NULL, place INTEGER NOT NULL,
              text VARCHAR NOT NULL, depth INTEGER NOT NULL)""",
            """
            CREATE TABLE sample_score (trial VARCHAR NOT NULL, sample INTEGER NOT NULL, place INTEGER NOT NULL, recursion INTEGER NOT NULL,
              score DOUBLE NOT NULL)""",
            """
            CREATE VIEW result AS
              SELECT t.place, t.id, t.kind, t.variant, t.seed, t.state, t.parameters, t.steps, t.tokens, t.model_flops, t.paper_flops,
                max(CASE WHEN f.name = 'validation-loss' THEN f.value END) AS causal_loss,
                max(CASE WHEN f.name = 'validation-loss-full-sequence' THEN f.value END) AS full_sequence_loss,
                max(CASE WHEN f.name = 'validation-bits-per-byte' THEN f.value END) AS bits_per_byte,
                max(CASE WHEN f.name = 'validation-mean-depth' THEN f.value END) AS mean_depth,
                max(CASE WHEN f.name = 'validation-dead-token-ratio' THEN f.value END) AS dead_token_ratio,
                max(CASE WHEN f.name = 'validation-sampling-accuracy' THEN f.value END) AS sampling_accuracy,
                max(CASE WHEN f.name = 'validation-max-vio' THEN f.value END) AS max_vio,
                max(CASE WHEN f.name = 'validation-depth-entropy' THEN f.value END) AS depth_entropy,
                max(CASE WHEN f.name = 'kv-bytes-per-token' THEN f.value END) AS kv_bytes_per_token,
                max(CASE WHEN f.name = 'training-tokens-per-second' THEN f.value END) AS training_tokens_per_second,
                max(CASE WHEN f.name = 'training-seconds' THEN f.value END) AS training_seconds,
                max(CASE WHEN f.name = 'decoding-tokens-per-second' THEN f.value END) AS decoding_tokens_per_second,
                t.failure
              FROM trial t LEFT JOIN final f ON f.trial = t.id GROUP BY ALL ORDER BY t.place""",
            """
            CREATE VIEW ranking AS
              SELECT variant, count(*) AS seeds, avg(causal_loss) AS causal_loss, stddev_samp(causal_loss) AS spread,
                avg(full_sequence_loss) AS full_sequence_loss, avg(bits_per_byte) AS bits_per_byte, avg(mean_depth) AS mean_depth,
                any_value(parameters) AS parameters, any_value(nullif(tokens, 0)) AS tokens, any_value(nullif(model_flops, 0)) AS model_flops,
                avg(kv_bytes_per_token) AS kv_bytes_per_token, avg(training_seconds) AS training_seconds,
                avg(training_tokens_per_second) AS training_tokens_per_second,
                avg(decoding_tokens_per_second) AS decoding_tokens_per_second
              FROM result WHERE causal_loss IS NOT NULL GROUP BY variant ORDER BY causal_loss""");

    private static final List<String> TABLES_OF_TRIALS =
            List.of("trial", "axis", "config", "environment", "metric", "depth", "final", "sample", "sample_score");

    private final Path file;
    private final DuckDBConnection connection;

    private StudyDatabase(Path file, DuckDBConnection connection) {
        this.file = file;
        this.connection = connection;
    }

    /**
     * Opens the database of a study for reading.
     *
     * @param folder the study's folder
     * @throws MorException if there is none, a newer version wrote it, it is damaged, or another process keeps it open for writing
     */
    public static StudyDatabase read(Path folder) {
        Path file = folder.resolve(FILE);
        if (!Files.isRegularFile(file)) {
            throw new MorException(folder + " is no folder of a study: it has no " + FILE + ". mor ablate makes one");
        }
        return open(file, true);
    }

    /**
     * Opens the database of a study for writing; makes it where there is none.
     *
     * @param folder the study's folder, which must be there
     * @throws MorException as {@link #read}
     */
    public static StudyDatabase write(Path folder) {
        return open(folder.resolve(FILE), false);
    }

    private static StudyDatabase open(Path file, boolean readOnly) {
        StudyDatabase database = new StudyDatabase(file, connect(file, readOnly));
        try {
            database.checkVersion(readOnly);
            return database;
        } catch (RuntimeException | Error e) {
            database.close();
            throw e;
        }
    }

    private static DuckDBConnection connect(Path file, boolean readOnly) {
        Properties settings = new Properties();
        settings.setProperty("duckdb.read_only", Boolean.toString(readOnly));
        settings.setProperty("threads", "1");
        // Nothing is fetched from the network, whatever a query asks for.
        settings.setProperty("autoinstall_known_extensions", "false");
        long patience = System.nanoTime() + PATIENCE_NANOS;
        while (true) {
            try {
                Connection made = new DuckDBDriver().connect("jdbc:duckdb:" + file, settings);
                return made.unwrap(DuckDBConnection.class);
            } catch (SQLException e) {
                if (!isLocked(e)) {
                    throw unreadable(file, e);
                }
                if (System.nanoTime() > patience) {
                    throw new MorException(
                            "the study's database " + file
                                    + " is kept open by another process; close it there and try again",
                            e);
                }
                pause();
            } catch (LinkageError e) {
                throw new MorException(
                        "the database's native library cannot be loaded: " + reason(e)
                                + ". It unpacks itself (70 MB) into "
                                + System.getProperty("java.io.tmpdir")
                                + ": make room there, or name another folder with MOR_JAVA_OPTIONS=-Djava.io.tmpdir=...",
                        e);
            }
        }
    }

    private static String reason(Throwable failure) {
        Throwable cause = failure;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return String.valueOf(cause.getMessage());
    }

    /** Open for writing in another process, or in another way in this one. */
    private static boolean isLocked(SQLException e) {
        String said = String.valueOf(e.getMessage());
        return said.contains("lock") || said.contains("different configuration");
    }

    /** What is in the file is wrong, not the way to it: no space, no permission. */
    private static boolean isDamaged(String said) {
        return !said.startsWith("IO Error")
                || said.contains("not a valid")
                || said.contains("orrupt")
                || said.contains("checksum");
    }

    private static void pause() {
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MorException("interrupted while waiting for the study's database", e);
        }
    }

    private static MorException unreadable(Path file, SQLException e) {
        String said = firstLine(e);
        if (said.contains("newer") || said.contains("version number")) {
            return newer(file, said);
        }
        if (isDamaged(said)) {
            return new UnreadableDatabaseException(
                    "the study's database " + file + " cannot be read: " + said
                            + ". It holds nothing that is not in the folders of the trials: delete it, and mor ablate makes it anew",
                    e);
        }
        return new MorException(
                "the study's database " + file + " cannot be opened: " + said
                        + ". Check the space on the disk and who owns the file; the folders of the trials hold all results",
                e);
    }

    private static MorException newer(Path file, String said) {
        return new MorException("a newer version wrote the study's database " + file + " (" + said
                + "); use that version, or another folder");
    }

    private static String firstLine(SQLException e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }

    private void checkVersion(boolean readOnly) {
        if (count("SELECT count(*) FROM information_schema.tables WHERE table_name = 'schema_version'") == 0) {
            if (readOnly) {
                throw new MorException(file
                        + " holds no study; run mor ablate on its study file, or give the folder of another study");
            }
            atomically(() -> {
                for (String statement : SCHEMA) {
                    execute(statement);
                }
                execute("INSERT INTO schema_version VALUES (?, ?)", SCHEMA_VERSION, "mor");
            });
            return;
        }
        long version = count("SELECT max(version) FROM schema_version");
        if (version > SCHEMA_VERSION) {
            throw newer(file, "its schema has version " + version + ", this one reads up to " + SCHEMA_VERSION);
        }
    }

    // ---- writing

    /** Replaces everything. */
    public void put(StudyResults results) {
        atomically(() -> {
            for (String table : TABLES_OF_TRIALS) {
                execute("DELETE FROM " + table);
            }
            putStudy(results.study());
            for (int place = 0; place < results.trials().size(); place++) {
                insert(results.trials().get(place), place);
            }
        });
    }

    /**
     * Replaces one trial, or adds it.
     *
     * @param place in the order of the plan, from 0
     */
    public void put(Study study, Trial trial, int place) {
        atomically(() -> {
            putStudy(study);
            for (String table : TABLES_OF_TRIALS) {
                execute(
                        "DELETE FROM " + table + " WHERE " + (table.equals("trial") ? "id" : "trial") + " = ?",
                        trial.id());
            }
            insert(trial, place);
        });
    }

    private void putStudy(Study study) throws SQLException {
        execute("DELETE FROM study");
        execute(
                "INSERT INTO study VALUES (?, ?, ?, ?, ?)",
                study.name(),
                study.definition(),
                study.created().toEpochMilli(),
                study.updated().toEpochMilli(),
                study.morVersion());
    }

    private void insert(Trial trial, int place) throws SQLException {
        execute(
                "INSERT INTO trial VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                trial.id(),
                place,
                spell(trial.kind()),
                trial.parent().orElse(null),
                trial.variant(),
                trial.seed(),
                spell(trial.state()),
                trial.failure().orElse(null),
                trial.config(),
                trial.plan().parameters(),
                trial.plan().steps(),
                trial.plan().tokens(),
                trial.plan().modelFlops(),
                trial.plan().paperFlops(),
                trial.plan().kvBytesPerToken());
        insertTexts("axis", trial.id(), trial.axes());
        insertTexts("config", trial.id(), trial.configValues());
        insertTexts("environment", trial.id(), trial.environment());
        try (DuckDBAppender rows = appender("final")) {
            int at = 0;
            for (Map.Entry<String, Double> figure : trial.figures().entrySet()) {
                rows.beginRow();
                rows.append(trial.id()).append(at++).append(figure.getKey()).append(figure.getValue());
                rows.endRow();
            }
        }
        try (DuckDBAppender rows = appender("metric")) {
            for (Map.Entry<String, List<Point>> series : trial.series().entrySet()) {
                for (Point point : series.getValue()) {
                    rows.beginRow();
                    rows.append(trial.id())
                            .append(series.getKey())
                            .append(point.step())
                            .append(point.tokens());
                    rows.append(point.modelFlops())
                            .append(point.paperFlops())
                            .append(point.seconds())
                            .append(point.value());
                    rows.endRow();
                }
            }
        }
        try (DuckDBAppender rows = appender("depth")) {
            for (DepthHistogram histogram : trial.depths()) {
                for (int depth = 0; depth < histogram.shares().size(); depth++) {
                    rows.beginRow();
                    rows.append(trial.id()).append(histogram.step()).append(depth);
                    rows.append(histogram.shares().get(depth).doubleValue());
                    rows.endRow();
                }
            }
        }
        insertSamples(trial);
    }

    private void insertSamples(Trial trial) throws SQLException {
        try (DuckDBAppender rows = appender("sample");
                DuckDBAppender scores = appender("sample_score")) {
            for (int sample = 0; sample < trial.samples().size(); sample++) {
                TextSample text = trial.samples().get(sample);
                for (int at = 0; at < text.tokens().size(); at++) {
                    SampleToken token = text.tokens().get(at);
                    rows.beginRow();
                    rows.append(trial.id())
                            .append(sample)
                            .append(text.name())
                            .append(at)
                            .append(token.text())
                            .append(token.depth());
                    rows.endRow();
                    for (int recursion = 1; recursion <= token.scores().size(); recursion++) {
                        scores.beginRow();
                        scores.append(trial.id()).append(sample).append(at).append(recursion);
                        scores.append(token.scores().get(recursion - 1).doubleValue());
                        scores.endRow();
                    }
                }
            }
        }
    }

    private void insertTexts(String table, String trial, Map<String, String> texts) throws SQLException {
        try (DuckDBAppender rows = appender(table)) {
            int at = 0;
            for (Map.Entry<String, String> text : texts.entrySet()) {
                rows.beginRow();
                rows.append(trial).append(at++).append(text.getKey()).append(text.getValue());
                rows.endRow();
            }
        }
    }

    private DuckDBAppender appender(String table) throws SQLException {
        return connection.createAppender(DuckDBConnection.DEFAULT_SCHEMA, table);
    }

    /** Work with the connection. */
    @FunctionalInterface
    private interface Work {
        void run() throws SQLException;
    }

    private void atomically(Work work) {
        try {
            connection.setAutoCommit(false);
            try {
                work.run();
                connection.commit();
            } catch (SQLException | RuntimeException e) {
                rollBack(e);
                throw e;
            } finally {
                connection.setAutoCommit(true);
            }
        } catch (SQLException e) {
            throw new MorException(
                    "the study's database " + file + " cannot be written: " + firstLine(e)
                            + ". Nothing is lost: it is as before, and the folders of the trials hold all results. Check the space on the disk "
                            + "and run the same command again",
                    e);
        }
    }

    private void rollBack(Exception cause) {
        try {
            connection.rollback();
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
    }

    private void execute(String statement, Object... values) throws SQLException {
        try (var prepared = connection.prepareStatement(statement)) {
            for (int i = 0; i < values.length; i++) {
                prepared.setObject(i + 1, values[i]);
            }
            prepared.execute();
        }
    }

    // ---- reading

    /** All there is. */
    public StudyResults results() {
        Study study = rows(
                        "SELECT * FROM study",
                        row -> new Study(
                                row.getString("name"),
                                row.getString("definition"),
                                Instant.ofEpochMilli(row.getLong("created_millis")),
                                Instant.ofEpochMilli(row.getLong("updated_millis")),
                                row.getString("mor_version")))
                .stream()
                .findFirst()
                .orElseThrow(() -> new MorException(file + " holds no study yet; run mor ablate on its study file"));
        Map<String, Map<String, String>> axes = texts("axis", "axis");
        Map<String, Map<String, String>> configs = texts("config", "key");
        Map<String, Map<String, String>> environments = texts("environment", "name");
        Map<String, Map<String, Double>> figures = new LinkedHashMap<>();
        each(
                "SELECT * FROM final ORDER BY trial, place",
                row -> figures.computeIfAbsent(row.getString("trial"), id -> new LinkedHashMap<>())
                        .put(row.getString("name"), row.getDouble("value")));
        Map<String, Map<String, List<Point>>> series = new LinkedHashMap<>();
        each(
                "SELECT * FROM metric ORDER BY trial, name, step",
                row -> series.computeIfAbsent(row.getString("trial"), id -> new LinkedHashMap<>())
                        .computeIfAbsent(row.getString("name"), name -> new ArrayList<>())
                        .add(new Point(
                                row.getLong("step"),
                                row.getLong("tokens"),
                                row.getDouble("model_flops"),
                                row.getDouble("paper_flops"),
                                row.getDouble("seconds"),
                                row.getDouble("value"))));
        Map<String, List<DepthHistogram>> depths = depths();
        Map<String, List<TextSample>> samples = samples();
        List<Trial> trials = rows("SELECT * FROM trial ORDER BY place", row -> {
            String id = row.getString("id");
            return new Trial(
                    id,
                    Kind.valueOf(constant(row.getString("kind"))),
                    Optional.ofNullable(row.getString("parent")),
                    row.getString("variant"),
                    axes.getOrDefault(id, Map.of()),
                    row.getLong("seed"),
                    row.getString("config"),
                    configs.getOrDefault(id, Map.of()),
                    new Plan(
                            row.getLong("parameters"),
                            row.getLong("steps"),
                            row.getLong("tokens"),
                            row.getDouble("model_flops"),
                            row.getDouble("paper_flops"),
                            row.getDouble("kv_bytes_per_token")),
                    State.valueOf(constant(row.getString("state"))),
                    Optional.ofNullable(row.getString("failure")),
                    environments.getOrDefault(id, Map.of()),
                    series.getOrDefault(id, Map.of()),
                    depths.getOrDefault(id, List.of()),
                    figures.getOrDefault(id, Map.of()),
                    samples.getOrDefault(id, List.of()));
        });
        return new StudyResults(study, trials);
    }

    private Map<String, Map<String, String>> texts(String table, String key) {
        Map<String, Map<String, String>> texts = new LinkedHashMap<>();
        each(
                "SELECT * FROM " + table + " ORDER BY trial, place",
                row -> texts.computeIfAbsent(row.getString("trial"), id -> new LinkedHashMap<>())
                        .put(row.getString(key), row.getString("value")));
        return texts;
    }

    private Map<String, List<DepthHistogram>> depths() {
        Map<String, Map<Long, List<Double>>> shares = new LinkedHashMap<>();
        each(
                "SELECT * FROM depth ORDER BY trial, step, depth",
                row -> shares.computeIfAbsent(row.getString("trial"), id -> new LinkedHashMap<>())
                        .computeIfAbsent(row.getLong("step"), step -> new ArrayList<>())
                        .add(row.getDouble("share")));
        Map<String, List<DepthHistogram>> histograms = new LinkedHashMap<>();
        shares.forEach((trial, steps) -> histograms.put(
                trial,
                steps.entrySet().stream()
                        .map(step -> new DepthHistogram(step.getKey(), step.getValue()))
                        .toList()));
        return histograms;
    }

    private Map<String, List<TextSample>> samples() {
        Map<String, List<Double>> scores = new LinkedHashMap<>();
        each(
                "SELECT * FROM sample_score ORDER BY trial, sample, place, recursion",
                row -> scores.computeIfAbsent(place(row), key -> new ArrayList<>())
                        .add(row.getDouble("score")));
        Map<String, Map<Integer, TextSample>> samples = new LinkedHashMap<>();
        Map<String, List<SampleToken>> tokens = new LinkedHashMap<>();
        each("SELECT * FROM sample ORDER BY trial, sample, place", row -> {
            String trial = row.getString("trial");
            int sample = row.getInt("sample");
            List<SampleToken> list = tokens.computeIfAbsent(trial + "/" + sample, key -> new ArrayList<>());
            list.add(new SampleToken(
                    row.getString("text"), row.getInt("depth"), scores.getOrDefault(place(row), List.of())));
            samples.computeIfAbsent(trial, id -> new LinkedHashMap<>())
                    .put(sample, new TextSample(row.getString("sample_name"), List.of()));
        });
        Map<String, List<TextSample>> texts = new LinkedHashMap<>();
        samples.forEach((trial, named) -> texts.put(
                trial,
                named.entrySet().stream()
                        .map(entry -> new TextSample(entry.getValue().name(), tokens.get(trial + "/" + entry.getKey())))
                        .toList()));
        return texts;
    }

    private static String place(ResultSet row) throws SQLException {
        return row.getString("trial") + "/" + row.getInt("sample") + "/" + row.getInt("place");
    }

    /**
     * A question's answer.
     *
     * @param columns their names
     * @param rows each with a text for every column; empty for what is not known
     */
    public record Answer(List<String> columns, List<List<Optional<String>>> rows) {

        /** Copies the lists. */
        public Answer {
            columns = List.copyOf(columns);
            rows = rows.stream().map(List::copyOf).toList();
        }
    }

    /**
     * Asks in SQL. The tables are {@code study, trial, axis, config, environment, metric, depth, final, sample, sample_score}, the view {@code
     * result} has a row for every trial with its main figures, {@code ranking} mean and spread over seeds, the lowest causal loss first.
     *
     * @throws io.mor.runtime.UsageException with what the database says, if the question is wrong
     */
    public Answer ask(String sql) {
        try (Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            ResultSetMetaData shape = result.getMetaData();
            List<String> columns = new ArrayList<>();
            for (int i = 1; i <= shape.getColumnCount(); i++) {
                columns.add(shape.getColumnLabel(i));
            }
            List<List<Optional<String>>> rows = new ArrayList<>();
            while (result.next()) {
                List<Optional<String>> row = new ArrayList<>();
                for (int i = 1; i <= columns.size(); i++) {
                    row.add(Optional.ofNullable(result.getString(i)));
                }
                rows.add(row);
            }
            return new Answer(columns, rows);
        } catch (SQLException e) {
            throw new UsageException("--sql: " + String.valueOf(e.getMessage()).strip(), e);
        }
    }

    /** Formats of files that other programs read. */
    public enum Format {
        /** Comma-separated values with a header. */
        CSV("FORMAT csv, HEADER"),
        /** One JSON array of objects. */
        JSON("FORMAT json, ARRAY true"),
        /** Apache Parquet. */
        PARQUET("FORMAT parquet");

        private final String options;

        Format(String options) {
            this.options = options;
        }
    }

    /**
     * Writes a question's answer to a file, beside its place first and then renamed.
     *
     * @throws io.mor.runtime.UsageException if the question is wrong
     * @throws MorException if the file cannot be written
     */
    public void export(String sql, Format format, Path target) {
        Path absolute = target.toAbsolutePath();
        Path temporary = absolute.resolveSibling("." + absolute.getFileName() + ".tmp");
        try (Statement statement = connection.createStatement()) {
            statement.execute("COPY (" + sql.strip().replaceAll(";$", "") + ") TO '"
                    + temporary.toString().replace("'", "''") + "' (" + format.options + ")");
            Files.move(temporary, absolute, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (SQLException e) {
            boolean io = String.valueOf(e.getMessage()).startsWith("IO Error");
            String said = String.valueOf(e.getMessage()).strip();
            throw io
                    ? new MorException("the export " + target + " cannot be written: " + said, e)
                    : new UsageException("the export " + target + ": " + said, e);
        } catch (IOException e) {
            throw new MorException("the export " + target + " cannot be written: " + e.getMessage(), e);
        }
    }

    /** What is done with a row. */
    @FunctionalInterface
    private interface RowReader<T> {
        T read(ResultSet row) throws SQLException;
    }

    private <T> List<T> rows(String sql, RowReader<T> reader) {
        try (Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(sql)) {
            List<T> rows = new ArrayList<>();
            while (result.next()) {
                rows.add(reader.read(result));
            }
            return rows;
        } catch (SQLException e) {
            throw unreadable(file, e);
        }
    }

    /** What is done with a row whose value is not kept. */
    @FunctionalInterface
    private interface RowVisitor {
        void visit(ResultSet row) throws SQLException;
    }

    private void each(String sql, RowVisitor visitor) {
        rows(sql, row -> {
            visitor.visit(row);
            return row;
        });
    }

    private long count(String sql) {
        return rows(sql, row -> row.getLong(1)).getFirst();
    }

    private static String spell(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static String constant(String text) {
        return text.toUpperCase(Locale.ROOT);
    }

    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            throw new MorException("the study's database " + file + " cannot be closed: " + firstLine(e), e);
        }
    }
}
