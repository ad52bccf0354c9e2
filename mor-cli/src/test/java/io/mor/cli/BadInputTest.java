package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.runtime.train.Checkpoint;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Each kind of bad input: one message that says what, where and what to do, the right exit code, and nothing that was saved is lost. */
class BadInputTest {

    private static final long LONGEST_SECONDS = 120;

    @TempDir
    private Path folder;

    private record Said(int code, String out, String err) {}

    private static Said mor(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandRunner.run(
                new Console(
                        new PrintStream(out, true, StandardCharsets.UTF_8),
                        new PrintStream(err, true, StandardCharsets.UTF_8),
                        false,
                        false,
                        false,
                        100,
                        OptionalLong.empty()),
                arguments);
        return new Said(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    private static void assertSaid(int code, Said said, String... parts) {
        assertEquals(code, said.code(), said::err);
        for (String part : parts) {
            assertTrue(said.err().contains(part), () -> "'" + part + "' in: " + said.err());
        }
        assertFalse(said.err().contains("\tat "), () -> "a stack trace: " + said.err());
        assertFalse(said.err().contains("this should not happen"), said::err);
    }

    /** Arguments of a training run of a tiny model, two steps unless told otherwise. */
    private String[] train(String name, String... more) throws IOException {
        Path text = folder.resolve("text.txt");
        if (!Files.exists(text)) {
            Files.writeString(
                    text, "All happy families are alike; every unhappy family is unhappy in its own way.\n".repeat(60));
        }
        List<String> arguments = new ArrayList<>(List.of("train"));
        for (String setting : List.of(
                "name=" + name,
                "runs=" + folder.resolve("runs"),
                "model.hidden=16",
                "model.heads=2",
                "model.kv-heads=1",
                "model.layers=3",
                "model.ffn=24",
                "model.context=32",
                "backend={type: cpu, threads: 1}",
                "data.paths=['" + text + "']",
                "data.shards=" + folder.resolve("shards"),
                "training.batch=2",
                "training.steps=2",
                "training.evaluation.batches=1")) {
            arguments.addAll(List.of("-s", setting));
        }
        for (String setting : more) {
            arguments.addAll(List.of("-s", setting));
        }
        return arguments.toArray(String[]::new);
    }

    private Path run(String name) {
        return folder.resolve("runs").resolve(name);
    }

    private Path checkpoint(String name, int step) {
        return run(name).resolve("checkpoints").resolve("step-%08d".formatted(step));
    }

    // ---- configs

    @Test
    void aConfigThatIsWrongIsAUsageErrorThatNamesKeyPlaceAndRemedy() throws IOException {
        List<Executable> checks = new ArrayList<>();
        String[][] cases = {
            {"trainign.steps=3", "-s trainign.steps=3", "did you mean 'training'?"},
            {"training.stps=3", "unknown key 'stps' in training; did you mean 'steps'?"},
            {"training.steps=many", "training.steps is 'many'; it must be a whole number"},
            {"model.heads=3", "model.heads is 3; it must divide model.hidden, 16"},
            {"model.kv-heads=4", "model.kv-heads is 4; it must divide model.heads, 2"},
            {"model.layers=0", "model.layers is 0; it must be at least 1"},
            {"router=expert-chioce", "did you mean 'expert-choice'?"},
            {
                "backend={type: cpu, threds: 1}",
                "-s backend={type: cpu, threds: 1}:1: unknown key 'threds' in backend",
                "'threads'"
            },
            {"name=''", "name is ''; it must name a folder in runs"},
            {"name=../elsewhere", "name is '../elsewhere'; it must name a folder in runs"},
            {"model.layers=[3", "not valid YAML: while parsing a flow sequence, expected ',' or ']'"},
        };
        for (String[] each : cases) {
            String[] arguments = train("wrong", each[0]);
            String[] parts = Stream.of(each).skip(1).toArray(String[]::new);
            checks.add(() -> assertSaid(2, mor(arguments), parts));
        }
        String[] increasing = train(
                "wrong",
                "model.layers=5",
                "model.sharing=middle-cycle",
                "model.recursions=3",
                "router={type: expert-choice, capacity: [1, 0.4, 0.5]}");
        checks.add(() -> {
            Said said = mor(increasing);
            assertSaid(2, said, "router.capacity: 0.5 of recursion 3 is more than 0.4 of the recursion before");
            assertEquals(1, said.err().lines().count(), "told once: " + said.err());
        });
        String[] few = train("wrong", "model.sharing=middle-cycle", "model.recursions=3");
        checks.add(() -> assertSaid(2, mor(few), "model.layers is 3", "needs at least 5"));
        assertAll(checks);
        assertFalse(Files.exists(run("wrong")), "nothing was begun");
    }

    // ---- text

    @Test
    void textThatIsMissingEmptyOrTooShortIsToldWithItsPlace() throws IOException {
        Path nowhere = folder.resolve("nowhere.txt");
        Path empty = Files.writeString(folder.resolve("empty.txt"), "");
        Path brief = Files.writeString(folder.resolve("brief.txt"), "ten bytes.");
        assertSaid(2, mor(train("a", "data.paths=['" + nowhere + "']")), nowhere.toString());
        assertSaid(2, mor(train("a", "data.paths=[]")), "data.paths");
        assertSaid(2, mor(train("a", "data.paths=['" + empty + "']")), "empty.txt");
        assertSaid(
                2,
                mor(train("a", "data.paths=['" + brief + "']", "data.validation-fraction=0")),
                "model.context",
                "32");
    }

    // ---- arguments

    @Test
    void wrongArgumentsAreToldInPlainWords() {
        assertSaid(2, mor("generate", "run", "--max-tokens", "five"), "mor: Invalid", "'five' is not a whole number");
        assertSaid(2, mor("generate", "run", "--temperature", "hot"), "'hot' is not a number");
        assertSaid(2, mor("generate", "run", "--seed", "1.5"), "'1.5' is not a whole number");
        assertSaid(2, mor("calibrate", "run"), "mor: Missing required argument", "--capacity", "--mean-depth");
        assertSaid(
                2, mor("generate", "run", "--prompt", "a", "--prompt-ids", "1"), "mor: --prompt=TEXT, --prompt-ids=ID");
        assertSaid(2, mor("generate", "run", "--max-token", "5"), "did you mean --max-tokens?");
        assertSaid(2, mor("trian"), "did you mean train");
    }

    // ---- checkpoints

    @Test
    void aDamagedCheckpointIsPassedOverForTheOneBeforeAndAllDamagedIsAFailure() throws IOException {
        assertEquals(0, mor(train("run", "training.checkpoint.every=1")).code());
        Path newest = checkpoint("run", 2).resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(newest);
        Files.write(newest, Arrays.copyOf(whole, whole.length / 2));
        Said passedOver = mor("eval", run("run").toString());
        assertSaid(0, passedOver, "step-00000002", "damaged or truncated");
        Path older = checkpoint("run", 1).resolve("model.safetensors");
        byte[] flipped = Files.readAllBytes(older);
        flipped[flipped.length - 5] ^= 1;
        Files.write(older, flipped);
        assertSaid(1, mor("eval", run("run").toString()), "no checkpoint in", "step-00000001", "step-00000002");
        assertSaid(1, mor("train", "--resume", run("run").toString()), "no checkpoint in");
        assertTrue(Files.exists(newest) && Files.exists(older), "damaged ones are left for whoever can mend them");
        Path state = checkpoint("run", 2).resolve("state.json");
        Files.writeString(state, Files.readString(state).substring(0, 20));
        Said cut = mor("eval", run("run").toString());
        assertSaid(1, cut, "state.json cannot be read");
        assertFalse(cut.err().contains("REDACTED"), cut::err);
    }

    @Test
    void aCheckpointOfAnotherArchitectureIsAFailureThatNamesTheTensor() throws IOException {
        assertEquals(0, mor(train("run")).code());
        Path config = checkpoint("run", 2).resolve("config.yaml");
        byte[] before = Files.readAllBytes(checkpoint("run", 2).resolve("model.safetensors"));
        assertTrue(Files.exists(config));
        assertSaid(
                1,
                mor("eval", run("run").toString(), "-s", "model.hidden=32"),
                "of another architecture",
                "embed.weight",
                "[256, 16]",
                "[256, 32]");
        assertSaid(
                1, mor("eval", run("run").toString(), "-s", "model.layers=4"), "of another architecture", "layers.3.");
        assertSaid(
                1,
                mor("train", "--resume", run("run").toString(), "-s", "model.layers=2", "-s", "training.steps=3"),
                "of another architecture",
                "layers.2.");
        assertEquals(
                -1,
                Arrays.mismatch(before, Files.readAllBytes(checkpoint("run", 2).resolve("model.safetensors"))));
        assertSaid(2, mor("eval", folder.resolve("shards").toString()), "is not a run folder");
        assertSaid(2, mor("generate", folder.resolve("none").toString()), "is not a run folder");
    }

    // ---- generation

    @Test
    void promptsThatDoNotFitTheModelAreUsageErrors() throws IOException {
        assertEquals(0, mor(train("run")).code());
        String run = run("run").toString();
        assertSaid(2, mor("generate", run, "--prompt-ids", "1,256", "--max-tokens", "2"), "256", "255");
        assertSaid(2, mor("generate", run, "--prompt-ids", "1,-2", "--max-tokens", "2"), "-2");
        assertSaid(2, mor("generate", run, "--prompt-ids", "one"), "one");
        assertSaid(2, mor("generate", run, "--prompt", "x".repeat(40), "--max-tokens", "2"), "40", "32");
        assertSaid(2, mor("generate", run, "--prompt", "x", "--max-tokens", "99"), "99", "32");
    }

    @Test
    void idsNeedNoTokenizer() throws IOException {
        assertEquals(0, mor(train("run")).code());
        String run = run("run").toString();
        String gone = "tokenizer={type: llama2c, path: " + folder.resolve("gone.bin") + "}";
        Said ids = mor("generate", run, "-s", gone, "--prompt-ids", "1,17", "--max-tokens", "3", "--print-ids");
        assertSaid(0, ids);
        assertEquals(3, ids.out().strip().split(" ").length, ids::out);
        Said text = mor("generate", run, "-s", gone, "--prompt", "a", "--max-tokens", "3");
        assertSaid(1, text, "no such llama2.c tokenizer: " + folder.resolve("gone.bin"));
        assertFalse(text.err().contains("constructor"), text::err);
    }

    // ---- imports

    /** A version 0 file of one layer, all weights zero. */
    private Path llama2c() throws IOException {
        int vocabulary = 259;
        int[] header = {4, 4, 1, 2, 1, vocabulary, 8};
        int weights = 4 * vocabulary + 4 + 16 + 8 + 8 + 16 + 4 + 3 * 16 + 4 + 8 * 2;
        ByteBuffer bytes = ByteBuffer.allocate(4 * (header.length + weights)).order(ByteOrder.LITTLE_ENDIAN);
        for (int size : header) {
            bytes.putInt(size);
        }
        return Files.write(folder.resolve("model.bin"), bytes.array());
    }

    /** A tokenizer file of bytes alone. */
    private Path llama2cTokenizer() throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(1 << 13).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(6);
        for (int id = 0; id < 259; id++) {
            byte[] piece = (id < 3 ? "<" + id + ">" : "<0x%02X>".formatted(id - 3)).getBytes(StandardCharsets.US_ASCII);
            bytes.putFloat(0).putInt(piece.length).put(piece);
        }
        return Files.write(folder.resolve("tok.bin"), Arrays.copyOf(bytes.array(), bytes.position()));
    }

    @Test
    void anImportThatFailsLeavesNothingAndSaysWhy() throws IOException {
        Path model = llama2c();
        Path tokenizer = llama2cTokenizer();
        String out = run("imported").toString();
        Path none = folder.resolve("none.bin");
        assertSaid(2, mor("import", "llama2c", none.toString(), "--out", out), "there is no file " + none);
        Path text = Files.writeString(folder.resolve("text.bin"), "not a model, but long enough for its header");
        assertSaid(
                1,
                mor("import", "llama2c", text.toString(), "--out", out),
                "is not a llama2.c version 0 model",
                "its sizes are impossible (hidden ");
        Path cut = Files.write(folder.resolve("cut.bin"), Arrays.copyOf(Files.readAllBytes(model), 900));
        assertSaid(1, mor("import", "llama2c", cut.toString(), "--out", out), "truncated", "hidden 4, ffn 4, layers 1");
        Path damaged = Files.write(folder.resolve("half.bin"), Arrays.copyOf(Files.readAllBytes(tokenizer), 999));
        Said refused = mor("import", "llama2c", model.toString(), "--tokenizer", damaged.toString(), "--out", out);
        assertSaid(1, refused, damaged.toString(), "truncated");
        assertFalse(Files.exists(run("imported")), "nothing was begun");
        assertSaid(
                0, mor("import", "llama2c", model.toString(), "--tokenizer", tokenizer.toString(), "--out", out), "");
    }

    @Test
    void anImportedRunIsMeasuredOnAnyTextAndIsNotResumed() throws IOException {
        String out = run("imported").toString();
        assertSaid(
                0,
                mor(
                        "import",
                        "llama2c",
                        llama2c().toString(),
                        "--tokenizer",
                        llama2cTokenizer().toString(),
                        "--out",
                        out));
        Path text = Files.writeString(folder.resolve("text.txt"), "All happy families are alike. ".repeat(20));
        String paths = "data.paths=['" + text + "']";
        String shards = "data.shards=" + folder.resolve("shards");
        assertSaid(2, mor("eval", out, "-s", shards), "data.paths: there is no text");
        assertSaid(0, mor("eval", out, "-s", paths, "-s", shards));
        assertSaid(2, mor("train", "--resume", out, "-s", shards), "data.paths: there is no text");
        assertSaid(
                1,
                mor("train", "--resume", out, "-s", paths, "-s", shards),
                "holds no optimizer state",
                "model.start-from");
        assertSaid(
                0,
                mor(train(
                        "tuned",
                        "model.start-from=" + out,
                        "model.hidden=4",
                        "model.layers=1",
                        "model.ffn=4",
                        "model.context=8",
                        "tokenizer={type: llama2c, path: " + folder.resolve("tok.bin") + "}")));
        assertSaid(
                2,
                mor(train(
                        "wider",
                        "model.start-from=" + out,
                        "model.layers=1",
                        "tokenizer={type: llama2c, path: " + folder.resolve("tok.bin") + "}")),
                "model.start-from");
    }

    // ---- disks and signals

    private Process start(Path err, List<String> before, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(before);
        command.addAll(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(err.toFile())
                .start();
    }

    private static int await(Process process) throws InterruptedException {
        assertTrue(process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS), "ends");
        return process.exitValue();
    }

    /** Training goes on from the checkpoint that was saved before the disk was full. */
    private void assertSavingFailsAndNothingIsLost(List<String> before, String reason) throws Exception {
        Path err = folder.resolve("err.txt");
        assertEquals(0, mor(train("run")).code());
        int code = await(start(err, before, "train", "--resume", run("run").toString(), "-s", "training.steps=4"));
        String said = Files.readString(err);
        assertEquals(1, code, said);
        assertTrue(said.contains("step-00000004 could not be written: ") && said.contains(reason), said);
        assertTrue(said.contains("Earlier checkpoints are whole; make room and resume"), said);
        assertFalse(said.contains("\tat "), said);
        assertEquals(2, Checkpoint.open(checkpoint("run", 2)).state().step());
        try (Stream<Path> left = Files.list(run("run").resolve("checkpoints"))) {
            assertEquals(List.of(checkpoint("run", 2)), left.toList(), "no half of a checkpoint");
        }
        assertEquals(
                0,
                mor("train", "--resume", run("run").toString(), "-s", "training.steps=4")
                        .code());
    }

    @Test
    void aFileThatMayNotGrowWhileSavingIsOneMessageAndNothingIsLost() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/bin/bash")), "needs bash, to limit the size of files");
        assertSavingFailsAndNothingIsLost(
                List.of("/bin/bash", "-c", "ulimit -f 24; exec \"$0\" \"$@\""), "File too large");
    }

    @Test
    void aFullDiskWhileSavingIsOneMessageAndNothingIsLost() throws Exception {
        Path disk = Files.createDirectories(folder.resolve("runs"));
        boolean mounted = System.getProperty("os.name").equals("Linux")
                && new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", disk.toString())
                                .redirectErrorStream(true)
                                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                                .start()
                                .waitFor()
                        == 0;
        assumeTrue(mounted, "needs the right to mount a small file system");
        try {
            Path filler = folder.resolve("runs").resolve("filler");
            assertEquals(0, mor(train("run")).code());
            fill(filler);
            Path err = folder.resolve("err.txt");
            int code =
                    await(start(err, List.of(), "train", "--resume", run("run").toString(), "-s", "training.steps=4"));
            String said = Files.readString(err);
            assertEquals(1, code, said);
            assertTrue(said.contains("No space left on device"), said);
            assertFalse(said.contains("\tat "), said);
            assertEquals(2, Checkpoint.open(checkpoint("run", 2)).state().step());
            Files.delete(filler);
            assertEquals(
                    0,
                    mor("train", "--resume", run("run").toString(), "-s", "training.steps=4")
                            .code());
        } finally {
            new ProcessBuilder("umount", disk.toString()).start().waitFor();
        }
    }

    /** Takes what is left of a file system but a few blocks. */
    private static void fill(Path filler) throws IOException {
        long left = Files.getFileStore(filler.getParent()).getUsableSpace() - 16_384;
        Files.write(filler, new byte[(int) Math.max(0, left)]);
    }

    @Test
    void ctrlCFinishesTheStepSavesAndSaysHowToResume() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/bin/kill")), "needs /bin/kill, to send the signal");
        Path err = folder.resolve("err.txt");
        Process process = start(err, List.of(), train("cut", "training.steps=1000000", "training.log.every=1"));
        long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(LONGEST_SECONDS);
        while (!Files.readString(err).contains("/1000000") && process.isAlive() && System.nanoTime() < patience) {
            Thread.sleep(50);
        }
        assertEquals(
                0,
                new ProcessBuilder("/bin/kill", "-INT", Long.toString(process.pid()))
                        .start()
                        .waitFor());
        assertEquals(130, await(process), Files.readString(err));
        String said = Files.readString(err);
        assertTrue(said.contains("stopping: the step under way is finished and saved first"), said);
        assertTrue(said.contains("Go on with: mor train --resume " + run("cut")), said);
        int step = Integer.parseInt(said.replaceAll("(?s).*stopped after step (\\d+) of.*", "$1"));
        assertEquals(step, Checkpoint.open(checkpoint("cut", step)).state().step());
    }
}
