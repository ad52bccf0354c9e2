package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.cli.MorProcess.Result;
import io.mor.cli.MorProcess.Running;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher and the process behind it: exit codes, clean streams, messages, signals. */
class LauncherIT {

    @TempDir
    private Path folder;

    private static void assertClean(Result result) {
        assertEquals("", result.err(), "stderr");
    }

    @Test
    void theVersionIsOneLineAndStderrIsEmpty() throws Exception {
        long[] milliseconds = new long[10];
        for (int i = 0; i < milliseconds.length; i++) {
            long begun = System.nanoTime();
            Result result = MorProcess.run(folder, "--version");
            milliseconds[i] = (System.nanoTime() - begun) / 1_000_000;
            assertEquals(0, result.code(), result::err);
            assertEquals(1, result.lines().size(), result::out);
            assertTrue(result.out().matches("mor \\d+\\.\\d+\\.\\d+\\S* \\(Java \\d+, .+\\)\n"), result::out);
            assertClean(result);
        }
        Arrays.sort(milliseconds);
        System.out.println("./mor --version, median of 10: " + (milliseconds[4] + milliseconds[5]) / 2 + " ms "
                + Arrays.toString(milliseconds));
    }

    @Test
    void everyCommandExplainsItself() throws Exception {
        Result all = MorProcess.run(folder, "--help");
        assertEquals(0, all.code());
        assertClean(all);
        for (String command : List.of(
                "quickstart",
                "train",
                "eval",
                "generate",
                "calibrate",
                "ablate",
                "results",
                "import",
                "conformance",
                "plugins",
                "config",
                "doctor")) {
            assertTrue(all.out().contains("  " + command + " "), () -> command + " in:\n" + all.out());
        }
        Result one = MorProcess.run(folder, "generate", "--help");
        assertEquals(0, one.code());
        assertTrue(one.out().contains("--print-ids"), one::out);
        assertFalse(one.out().contains("\u001b"), "colour where stdout is no terminal");
        assertTrue(
                MorProcess.run(folder, "generate", "--help", "--color").out().contains("\u001b"),
                "colour with --color");
    }

    @Test
    void pluginsOfAllModulesAreFoundAndAnIdIsExplained() throws Exception {
        Result plugins = MorProcess.run(folder, "plugins");
        assertEquals(0, plugins.code(), plugins::err);
        assertClean(plugins);
        for (String id : List.of(
                "expert-choice",
                "token-choice",
                "recursion-wise",
                "hybrid",
                "llama",
                "cpu",
                "reference",
                "byte",
                "jsonl")) {
            assertTrue(
                    plugins.lines().stream().anyMatch(line -> line.startsWith("  " + id + " ")),
                    () -> id + " in:\n" + plugins.out());
        }
        Result shown = MorProcess.run(folder, "plugins", "show", "expert-choice");
        assertEquals(0, shown.code(), shown::err);
        assertTrue(shown.out().contains("router: {type: expert-choice"), shown::out);
        Result unknown = MorProcess.run(folder, "plugins", "show", "expert");
        assertEquals(2, unknown.code());
        assertTrue(
                unknown.err().contains("no extension 'expert'") && unknown.err().contains("expert-choice"),
                unknown::err);
    }

    @Test
    void wrongUsageIsExitCodeTwoAndNamesWhatIsWrong() throws Exception {
        assertUsage(MorProcess.run(folder), "which command?");
        assertUsage(MorProcess.run(folder, "generatte", "x"), "did you mean generate");
        assertUsage(MorProcess.run(folder, "train", "--no-such-option"), "--no-such-option");
        assertUsage(MorProcess.run(folder, "train", "missing.yaml"), "missing.yaml does not exist");
        assertUsage(
                MorProcess.run(folder, "train", "-s", "training.stepps=3"),
                "unknown key 'stepps' in training",
                "did you mean 'steps'");
        assertUsage(
                MorProcess.run(folder, "train", "-s", "training.steps=many"),
                "training.steps is 'many'; it must be a whole number");
        assertUsage(MorProcess.run(folder, "train"), "data.paths");
        assertUsage(MorProcess.run(folder, "generate", "no-such-run"), "no-such-run is not a run folder");
        assertUsage(MorProcess.run(folder, "conformance", "no-such-folder"), "no-such-folder");
        assertUsage(MorProcess.run(folder, "--plugins", "x", "plugins"), "--plugins");
        assertUsage(MorProcess.run(folder, "plugins", "--plugins", "no-such-plugins"), "no-such-plugins");
    }

    private static void assertUsage(Result result, String... parts) {
        assertEquals(2, result.code(), result::err);
        assertEquals("", result.out(), "stdout");
        for (String part : parts) {
            assertTrue(result.err().contains(part), () -> "'" + part + "' in: " + result.err());
        }
        assertFalse(result.err().contains("\tat "), () -> "a stack trace: " + result.err());
        assertTrue(
                result.err().lines().allMatch(line -> line.startsWith("mor: ") || line.startsWith("  ")), result::err);
    }

    @Test
    void aConfigIsShownCheckedAndDescribed() throws Exception {
        Path good = Files.writeString(folder.resolve("good.yaml"), "model: {preset: micro}\ntraining: {steps: 3}\n");
        Path wrong = Files.writeString(folder.resolve("wrong.yaml"), "model:\n  hiden: 64\n  heads: 0\n");
        Result shown = MorProcess.run(folder, "config", "show", good.toString(), "-s", "training.batch=2");
        assertEquals(0, shown.code(), shown::err);
        assertTrue(shown.out().contains("steps: 3") && shown.out().contains("batch: 2"), shown::out);
        assertEquals(
                0, MorProcess.run(folder, "config", "validate", good.toString()).code());
        Result refused = MorProcess.run(folder, "config", "validate", good.toString(), wrong.toString());
        assertEquals(2, refused.code());
        assertTrue(
                refused.err().contains("wrong.yaml")
                        && refused.err().contains("hidden")
                        && refused.err().contains("heads"),
                refused::err);
        Result schema = MorProcess.run(folder, "config", "schema");
        assertEquals(0, schema.code());
        assertTrue(schema.out().contains("json-schema.org") && schema.out().contains("expert-choice"), schema::out);
        assertClean(schema);
    }

    @Test
    void doctorSaysWhichBackendsWork() throws Exception {
        Result doctor = MorProcess.run(folder, "doctor");
        assertEquals(0, doctor.code(), doctor::err);
        assertTrue(
                doctor.out().contains("backend cpu works") && doctor.out().contains("backend reference works"),
                doctor::out);
    }

    @Test
    void goldenCasesAreComparedAndOneOutsideTheTolerancesFails() throws Exception {
        Path golden = MorProcess.root().resolve("mor-testkit/src/main/resources/io/mor/testkit/golden");
        Result right = MorProcess.run(
                folder,
                "conformance",
                golden.resolve("vanilla").toString(),
                golden.resolve("expert-hybrid-kv").toString());
        assertEquals(0, right.code(), right::err);
        assertClean(right);
        assertEquals(3, right.lines().size(), right::out);
        assertTrue(right.lines().getFirst().matches("ok +vanilla .*gradient \\d\\.\\de-\\d\\d.*"), right::out);
        assertTrue(
                right.lines()
                        .getLast()
                        .startsWith("{\"backend\":\"reference\",\"cases\":2,\"outside\":0,\"conforms\":true"),
                right::out);

        Path wrong = Files.createDirectories(folder.resolve("wrong"));
        String json = Files.readString(golden.resolve("vanilla/case.json"));
        Files.writeString(
                wrong.resolve("case.json"),
                json.replaceFirst("\"cross_entropy\": *([0-9.]+)", "\"cross_entropy\": 1$1"));
        Files.copy(golden.resolve("vanilla/case.safetensors"), wrong.resolve("case.safetensors"));
        Result outside = MorProcess.run(folder, "conformance", "wrong", "--backend", "cpu");
        assertEquals(1, outside.code(), outside::err);
        assertTrue(outside.lines().getFirst().startsWith("FAIL  wrong"), outside::out);
        assertTrue(outside.lines().getLast().contains("\"conforms\":false"), outside::out);
        assertTrue(outside.err().contains("1 of 1 cases"), outside::err);

        Files.writeString(wrong.resolve("case.json"), json.replaceFirst("\"heads\"", "\"haeds\""));
        Result unknown = MorProcess.run(folder, "conformance", "wrong");
        assertTrue(unknown.code() != 0 && unknown.err().contains("haeds"), unknown::err);
    }

    @Test
    void terminatingATrainingRunSavesItAndItCanGoOn() throws Exception {
        Files.writeString(
                folder.resolve("text.txt"),
                "All happy families are alike; every unhappy family is unhappy in its own way.\n".repeat(200));
        String[] settings = {
            "-s",
            "model.preset=micro",
            "-s",
            "data.paths=[text.txt]",
            "-s",
            "backend=cpu",
            "-s",
            "training.log.every=1",
            "-s",
            "name=cut"
        };
        String[] endless = with(settings, "train", "-s", "training.steps=1000000");
        Running running = MorProcess.start(folder, Map.of(), endless);
        long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!Files.readString(running.err()).contains("/1000000")
                && running.process().isAlive()
                && System.nanoTime() < patience) {
            Thread.sleep(50);
        }
        running.process().destroy();
        Result cut = running.await();
        assertEquals(143, cut.code(), cut::err);
        assertTrue(cut.err().contains("mor train --resume runs/cut"), cut::err);
        Result wrong = MorProcess.run(folder, endless);
        assertEquals(2, wrong.code());
        assertTrue(wrong.err().contains("exists already"), wrong::err);
        long steps = Long.parseLong(cut.err().replaceAll("(?s).*stopped after step (\\d+) of.*", "$1"));
        Result more = MorProcess.run(folder, "train", "--resume", "runs/cut", "-s", "training.steps=" + (steps + 3));
        assertEquals(0, more.code(), more::err);
        assertTrue(more.out().lines().anyMatch(line -> line.matches("steps +" + (steps + 3))), more::out);
        Result generated = MorProcess.run(
                folder,
                "generate",
                "runs/cut",
                "--prompt-ids",
                "65,108",
                "--max-tokens",
                "7",
                "--temperature",
                "0",
                "--print-ids");
        assertEquals(0, generated.code(), generated::err);
        assertEquals(7, generated.lines().getLast().split(" ").length, generated::out);
    }

    private static String[] with(String[] settings, String... before) {
        String[] all = Arrays.copyOf(before, before.length + settings.length);
        System.arraycopy(settings, 0, all, before.length, settings.length);
        return all;
    }

    @Test
    void aMissingJdkIsOneClearSentence() throws IOException, InterruptedException {
        // A machine without a JDK, as far as the launcher can see: its usual places are moved to where nothing is, and
        // no java is on the PATH.
        String script = Files.readString(MorProcess.root().resolve("mor"))
                .replaceAll("(?m)(?<=[ \"])/(usr|opt|Library)/", folder + "/none/$1/");
        Path copy = Files.writeString(folder.resolve("mor"), script);
        Path said = folder.resolve("said.txt");
        ProcessBuilder builder = new ProcessBuilder("/bin/bash", copy.toString(), "--version")
                .redirectErrorStream(true)
                .redirectOutput(said.toFile());
        builder.environment().clear();
        builder.environment().putAll(Map.of("PATH", folder.resolve("none").toString(), "HOME", folder.toString()));
        Process process = builder.start();
        assertTrue(process.waitFor(30, TimeUnit.SECONDS), "ends");
        assertEquals(1, process.exitValue(), () -> read(said));
        assertEquals(1, read(said).lines().count(), () -> read(said));
        assertTrue(
                read(said).startsWith("mor: no JDK 25 or later was found")
                        && read(said).contains("install one"),
                () -> read(said));
    }

    @Test
    void itIsBuiltWhenThereIsNoBuildOrASourceIsNewerAndOnlyThen() throws IOException, InterruptedException {
        // A project with a Maven that only notes how it is called and puts the packaged command where the build would.
        Path project = Files.createDirectories(folder.resolve("project"));
        Path source = Files.createDirectories(project.resolve("mor-cli/src/main/java"))
                .resolve("Main.java");
        Files.writeString(source, "");
        Files.writeString(project.resolve("pom.xml"), "");
        Path launcher = Files.copy(MorProcess.root().resolve("mor"), project.resolve("mor"));
        Path calls = folder.resolve("calls.txt");
        Path tools = Files.createDirectories(folder.resolve("tools"));
        Path maven = tools.resolve("mvn");
        Files.writeString(maven, """
        #!/bin/bash
        echo "$@" >>"%s"
        echo noise of the build
        [ -e "%s" ] && exit 1
        mkdir -p mor-cli/target/mor/lib
        cp "%s"/mor-cli-*.jar mor-cli/target/mor/lib
        touch mor-cli/target/mor/built
        """.formatted(
                        calls, folder.resolve("broken"), MorProcess.root().resolve("mor-cli/target/mor/lib")));
        assertTrue(maven.toFile().setExecutable(true));
        Map<String, String> environment = Map.of("PATH", tools + ":" + System.getenv("PATH"), "MOR_NO_BUILD", "");

        Result first =
                MorProcess.start(launcher, folder, environment, "--version").await();
        assertEquals(0, first.code(), first::err);
        assertEquals(1, first.lines().size(), first::out);
        assertTrue(first.err().contains("mor: building ...") && first.err().contains("noise of the build"), first::err);
        assertTrue(read(calls).contains("package") && read(calls).lines().count() == 1, () -> read(calls));

        assertClean(MorProcess.start(launcher, folder, environment, "--version").await());
        assertEquals(1, read(calls).lines().count(), "a second start builds nothing");

        Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(5)));
        assertEquals(
                0,
                MorProcess.start(launcher, folder, environment, "--version")
                        .await()
                        .code());
        assertEquals(2, read(calls).lines().count(), "a newer source is built");

        Files.writeString(folder.resolve("broken"), "");
        Result broken =
                MorProcess.start(launcher, folder, environment, "--version").await();
        assertEquals(1, broken.code());
        assertEquals("", broken.out());
        assertTrue(broken.err().contains("mor: the build failed"), broken::err);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
