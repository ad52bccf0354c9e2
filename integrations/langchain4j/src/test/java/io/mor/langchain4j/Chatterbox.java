package io.mor.langchain4j;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.generate.GenerationService;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A small model that has learned by heart, in a few seconds, the conversations of LangChain4j's contract tests. Trained once, closed with the
 * last test.
 */
public final class Chatterbox implements BeforeAllCallback {

    private static final List<String> CONVERSATIONS = List.of(
            "User: What is the capital of Germany?\nAssistant: Berlin, of course.\n",
            "User: What is the capital of Germany? How much is 2 + 2?\nAssistant: Berlin, and four.\n",
            "System: Translate messages from user into German\nUser: Translate: 'I love you'\nAssistant: Ich liebe dich\n",
            "User: Hi, my favorite color is green\nAssistant: Hi, nice to meet you\n"
                    + "User: What is my favorite color?\nAssistant: It is green.\n",
            "User: Say 'Hello World'\nAssistant: Hello World\n",
            "User: hello\nAssistant: Hello.\n",
            "User: Tell me a long story about animals\nAssistant: A cat met a dog, the dog met a cow, and all were glad.\n");

    /** What is open while the tests run. */
    private static final class Open implements AutoCloseable {
        private final Path folder;
        private final Mor mor;
        private final TrainedModel model;
        private final GenerationService service;

        Open() throws IOException {
            folder = Files.createTempDirectory("chatterbox");
            List<String> all = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                all.addAll(CONVERSATIONS);
            }
            Collections.shuffle(all, new Random(1));
            Path text = Files.writeString(folder.resolve("conversations.txt"), String.join("", all));
            ExperimentConfig config = ExperimentConfig.builder()
                    .with("name", "chatterbox")
                    .with("runs", folder)
                    .with("data.paths", List.of(text))
                    .with("data.shards", folder.resolve("shards"))
                    .with("model.hidden", 64)
                    .with("model.layers", 3)
                    .with("model.ffn", 128)
                    .with("model.context", 160)
                    .with("training.steps", 200)
                    .with("training.batch", 8)
                    .with("training.learning-rate", 0.006)
                    .with("training.evaluation.every", 0)
                    .with("generation.temperature", 0)
                    .with("backend", "cpu")
                    .build();
            mor = Mor.open();
            try (TrainingRun run = mor.train(config, RunListener.NONE)) {
                run.run(() -> false);
            }
            model = mor.load(folder.resolve("chatterbox"));
            service = model.service(4);
        }

        @Override
        public void close() throws IOException {
            model.close();
            mor.close();
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path each : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(each);
                }
            }
        }
    }

    private static volatile Open open;

    @Override
    public void beforeAll(ExtensionContext context) {
        open = context.getRoot()
                .getStore(ExtensionContext.Namespace.create(Chatterbox.class))
                .getOrComputeIfAbsent(
                        Open.class,
                        key -> {
                            try {
                                return new Open();
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                        },
                        Open.class);
    }

    static TrainedModel model() {
        return open.model;
    }

    static ChatModelBuilder<MorChatModel> chat() {
        return MorChatModel.builder(open.model, open.service);
    }

    static ChatModelBuilder<MorStreamingChatModel> streaming() {
        return MorStreamingChatModel.builder(open.model, open.service);
    }
}
