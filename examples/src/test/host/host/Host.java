package host;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import io.mor.runtime.generate.GenerationStream;
import io.mor.runtime.train.StepReport;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.LogManager;
import java.util.logging.Logger;

/**
 * A host application that uses everything of mor twice over and looks at what that did to its process. Argument: an empty folder. Every line it prints
 * is its own; what goes wrong is an exception and exit code 1.
 */
public final class Host {

    private Host() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Path text = Files.writeString(
                folder.resolve("text.txt"),
                "All happy families are alike; each unhappy one in its own way.\n".repeat(80));
        PrintStream out = System.out;
        System.setOut(new PrintStream(new Forbidden("System.out"), true)); // mor prints nothing
        PrintStream err = System.err;
        System.setErr(new PrintStream(new Forbidden("System.err"), true));
        TimeZone.getDefault(); // the JDK notes it in a system property
        String logging = logging();
        Map<Object, Object> properties = properties();
        Set<Thread> threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        try {
            for (int round = 1; round <= 2; round++) {
                use(folder, text, round, out);
            }
            require(logging.equals(logging()), "logging was configured: " + logging + " became " + logging());
            Map<Object, Object> now = properties();
            now.entrySet().removeAll(properties.entrySet());
            require(
                    now.isEmpty() && properties.keySet().equals(properties().keySet()),
                    "system properties were set: " + now);
            Set<Thread> left = new HashSet<>(Thread.getAllStackTraces().keySet());
            left.removeAll(threads);
            left.removeIf(thread -> thread.getThreadGroup() != null
                    && thread.getThreadGroup().getName().equals("system"));
            require(left.isEmpty(), "threads were left: " + left);
            out.println("mor is in a " + (Mor.class.getModule().isNamed() ? "named" : "nameless") + " module");
            out.println("nothing is left behind");
        } finally {
            System.setErr(err); // for the stack trace of a failure
        }
    }

    private static void use(Path folder, Path text, int round, PrintStream out) throws Exception {
        ExperimentConfig config = ExperimentConfig.builder()
                .with("name", "run-" + round)
                .with("runs", folder)
                .with("data.paths", List.of(text))
                .with("data.shards", folder.resolve("shards"))
                .with("model.hidden", 16)
                .with("model.layers", 5)
                .with("model.heads", 2)
                .with("model.kv-heads", 1)
                .with("model.ffn", 24)
                .with("model.context", 48)
                .with("model.sharing", "middle-cycle")
                .with("model.recursions", 3)
                .with("router", "expert-choice")
                .with("training.steps", 6)
                .with("training.batch", 2)
                .with("training.log.every", 1)
                .build();
        AtomicInteger steps = new AtomicInteger();
        RunListener listener = new RunListener() {
            @Override
            public void onStep(StepReport report) {
                steps.incrementAndGet();
            }
        };
        try (Mor mor = Mor.open()) {
            Path trained;
            try (TrainingRun run = mor.train(config, listener)) {
                require(!run.run(() -> steps.get() == 3).finished(), "it was asked to stop");
                trained = run.folder().path();
            }
            try (TrainingRun run = mor.resume(trained, same -> same, listener)) {
                require(run.run(() -> false).finished(), "it goes on to the end");
            }
            out.println("round " + round + ": trained " + steps + " steps");
            try (TrainedModel model = mor.load(trained);
                    GenerationService service = model.service(4)) {
                GenerationResult blocking = service.generate(
                        model.request("All ").maxTokens(12).temperature(0).build());
                StringBuilder pieces = new StringBuilder();
                GenerationStream stream = service.start(
                        model.request("All ").maxTokens(12).temperature(0).build(),
                        token -> pieces.append(token.text()));
                require(stream.result().join().ids().equals(blocking.ids()), "streaming gives the same");
                require(pieces.toString().equals(blocking.text()), "in pieces too");
                out.println("round " + round + ": generated " + blocking.ids().size() + " tokens, streamed the same");

                try (ExecutorService callers = Executors.newFixedThreadPool(8)) {
                    List<CompletableFuture<GenerationResult>> answers = Arrays.stream("a b c d e f g h".split(" "))
                            .map(prompt -> CompletableFuture.supplyAsync(
                                    () -> service.generate(
                                            model.request(prompt).maxTokens(12).build()),
                                    callers))
                            .toList();
                    double loss = model.evaluate(2, true, note -> {}).causal().loss(); // meanwhile
                    require(Double.isFinite(loss) && loss > 0, "loss " + loss);
                    int tokens = answers.stream()
                            .mapToInt(answer -> answer.join().ids().size())
                            .sum();
                    out.println("round " + round + ": " + answers.size() + " callers got " + tokens + " tokens");
                }
            }
            try {
                mor.load(folder.resolve("nowhere"));
                throw new IllegalStateException("a run that is not there was loaded");
            } catch (UsageException wrong) {
                out.println("round " + round + ": a wrong folder is an exception, not an exit");
            }
            try { // the plugin's constructor throws
                mor.load(
                        trained,
                        each -> each.with("selector.type", "fixed-depth").with("selector.depth", 9),
                        note -> {});
                throw new IllegalStateException("a depth that the model does not have was taken");
            } catch (UsageException wrong) {
                require(wrong.getMessage().contains("fixed-depth"), wrong.getMessage());
            }
        }
    }

    private static String logging() {
        StringBuilder all = new StringBuilder();
        for (String name : List.of("", "io.mor", "com.google.inject.internal.util.LineNumbers")) {
            Logger logger = LogManager.getLogManager().getLogger(name);
            if (logger != null) {
                all.append(name).append('=').append(logger.getLevel());
                for (Handler handler : logger.getHandlers()) {
                    all.append(',').append(handler.getClass().getName()).append(handler.getLevel());
                }
                all.append(' ');
            }
        }
        return all.toString();
    }

    private static Map<Object, Object> properties() {
        Properties properties = System.getProperties();
        synchronized (properties) {
            return new TreeMap<>(properties);
        }
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    /** Takes no byte. */
    private static final class Forbidden extends OutputStream {
        private final String name;

        Forbidden(String name) {
            this.name = name;
        }

        @Override
        public void write(int value) {
            throw new IllegalStateException("something was written to " + name);
        }
    }
}
