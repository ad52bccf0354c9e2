package com.example.embedding;

import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Generates from a trained run, for one caller and for many at once. The first argument is the run's folder. */
public final class Completions {

    private Completions() {}

    public static void main(String[] arguments) throws Exception {
        try (Mor mor = Mor.open();
                TrainedModel model = mor.load(Path.of(arguments[0]));
                GenerationService service = model.service(8)) { // up to 8 sequences side by side

            // Wait for the whole text.
            GenerationRequest request =
                    model.request("public ").maxTokens(20).temperature(0).build();
            GenerationResult result = service.generate(request);
            System.out.println(result.ids().size() + " tokens: " + result.text().strip());

            // Take the tokens as they come, on this thread.
            StringBuilder streamed = new StringBuilder();
            service.generate(request, token -> streamed.append(token.text()));
            System.out.println("streamed the same: " + streamed.toString().equals(result.text()));

            // Many callers at once share the steps of one batch.
            try (ExecutorService callers = Executors.newFixedThreadPool(4)) {
                List<Future<GenerationResult>> answers = List.of("import ", "return ", "class ", "final ").stream()
                        .map(prompt -> model.request(prompt).maxTokens(10).build())
                        .map(each -> callers.submit(() -> service.generate(each)))
                        .toList();
                for (Future<GenerationResult> answer : answers) {
                    System.out.println(answer.get().ids().size() + " tokens");
                }
            }
        }
    }
}
