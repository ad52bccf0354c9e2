package io.mor.cli;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.GenerationConfig;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.generate.Ending;
import io.mor.runtime.generate.GeneratedToken;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code mor generate}. */
@Command(
        name = "generate",
        description = {
            "Go on with a prompt. Text is printed as it comes; what is not given is taken from the run's generation section.",
            "On a terminal, or with --color, each token has the colour of the number of recursions it took."
        })
final class GenerateCommand implements Callable<Integer> {

    private final Console console;

    @Mixin
    private LoadOptions load;

    @ArgGroup(exclusive = true)
    private Prompt prompt = new Prompt();

    /** Text or ids. */
    static final class Prompt {
        @Option(
                names = "--prompt",
                paramLabel = "TEXT",
                description =
                        "Text to go on from. Default: the start of a text, or a new line where the tokenizer has no id for that.")
        private Optional<String> text = Optional.empty();

        @Option(
                names = "--prompt-ids",
                paramLabel = "ID",
                split = ",",
                description = "Token ids to go on from, for example 1,17; needs no tokenizer.")
        private List<Integer> ids = new ArrayList<>();
    }

    @Option(names = "--max-tokens", paramLabel = "N", description = "New tokens.")
    private Optional<Integer> maxTokens;

    @Option(names = "--temperature", paramLabel = "T", description = "0 is greedy.")
    private Optional<Double> temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "Draw among the K likeliest tokens only; 0: all.")
    private Optional<Integer> topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Draw among the likeliest tokens with this probability together; 1: all.")
    private Optional<Double> topP;

    @Option(names = "--seed", paramLabel = "S", description = "Seed of the draws.")
    private Optional<Long> seed;

    @Option(names = "--stop", paramLabel = "TEXT", description = "Text that ends the generation. May be repeated.")
    private List<String> stops = new ArrayList<>();

    @Option(
            names = "--print-ids",
            description =
                    "Print ids instead of text: the last line of stdout holds exactly the new ids, separated by spaces. Ends early only at a stop token.")
    private boolean printIds;

    GenerateCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        return printIds && !prompt.ids.isEmpty()
                ? load.withModelOfIds(console, (mor, model) -> generate(model))
                : load.withModel(console, (mor, model) -> generate(model));
    }

    private int generate(TrainedModel model) {
        Optional<Tokenizer> text = printIds ? Optional.empty() : model.tokenizer();
        DepthColours colours = new DepthColours(model.config().model().shape().recursions());
        boolean coloured = console.colour() && model.model().isRouted();
        GenerationListener listener =
                text.isEmpty() ? GenerationListener.NONE : token -> stream(token, colours, coloured);
        GenerationResult result;
        try (Generator generator =
                new Generator(model.model(), model.weights(), text, GeneratorOptions.forSequences(1))) {
            result = generator.generate(List.of(request(model)), listener).getFirst();
        }
        console.out()
                .println(
                        text.isEmpty()
                                ? result.ids().stream().map(String::valueOf).collect(Collectors.joining(" "))
                                : "");
        if (console.progressOnTerminal()) {
            report(result, coloured ? colours.legend() : "");
        }
        return ExitCode.SUCCESS;
    }

    private GenerationRequest request(TrainedModel model) {
        GenerationConfig defaults = model.config().generation();
        int[] ids = promptIds(model);
        int fitting = model.config().model().shape().context() - ids.length + 1; // the last new token needs no position
        List<String> texts = new ArrayList<>(stops);
        if (!printIds && model.tokenizer().isPresent()) {
            texts.addAll(defaults.stopTexts());
        }
        return GenerationRequest.of(ids)
                .maxTokens(maxTokens.orElse(Math.clamp(fitting, 1, defaults.maxTokens())))
                .temperature(temperature.orElse(defaults.temperature()))
                .topK(topK.orElse(defaults.topK()))
                .topP(topP.orElse(defaults.topP()))
                .seed(seed.orElse(defaults.seed()))
                .stopIds(defaults.stopTokens())
                .stopStrings(texts.toArray(String[]::new))
                .build();
    }

    private int[] promptIds(TrainedModel model) {
        if (!prompt.ids.isEmpty()) {
            return prompt.ids.stream().mapToInt(Integer::intValue).toArray();
        }
        if (model.tokenizer().isEmpty()) {
            throw new UsageException(
                    "this model has no tokenizer, so the prompt must be ids: give --prompt-ids, for example --prompt-ids 1");
        }
        return model.promptIds(prompt.text.orElse(""));
    }

    private void stream(GeneratedToken token, DepthColours colours, boolean coloured) {
        String text = console.printable(token.text());
        console.out().print(coloured ? colours.paint(text, token.depth()) : text);
        console.out().flush();
    }

    private void report(GenerationResult result, String legend) {
        String ending = result.ending() == Ending.MAX_TOKENS
                ? ""
                : "; ended: " + result.ending().name().toLowerCase(Locale.ROOT).replace('_', ' ');
        console.say(String.format(
                Locale.ROOT,
                "%d tokens, prompt %,.0f tokens/s, decoding %,.1f tokens/s, mean depth %.2f, %,.0f bytes of keys and values per token%s%s",
                result.ids().size(),
                result.prefillTokensPerSecond(),
                result.decodingTokensPerSecond(),
                result.meanDepth(),
                result.kvBytesPerToken(),
                ending,
                legend.isEmpty() ? "" : "; " + legend));
    }
}
