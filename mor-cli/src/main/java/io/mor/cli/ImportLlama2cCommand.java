package io.mor.cli;

import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunFolder;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor import llama2c}. */
@Command(
        name = "llama2c",
        description =
                "Make a run folder of a llama2.c model (version 0; a negative vocabulary size means that the head is not tied).")
final class ImportLlama2cCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(paramLabel = "MODEL.bin", description = "The model, for example stories15M.bin.")
    private Path model;

    @Option(
            names = "--tokenizer",
            paramLabel = "TOK.bin",
            description = "Its tokenizer, which is copied into the run. Default: none; prompts are ids.")
    private Optional<Path> tokenizer;

    @Option(names = "--out", required = true, paramLabel = "RUN", description = "The run folder to make.")
    private Path out;

    @Mixin
    private PluginOptions plugins;

    ImportLlama2cCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        try (Mor mor = Mor.open(plugins.folders())) {
            RunFolder run = mor.importLlama2c(model, tokenizer, out);
            console.out()
                    .println("imported into " + run.path() + "; generate with: mor generate " + run.path()
                            + (tokenizer.isPresent() ? "" : " --prompt-ids 1"));
        }
        return ExitCode.SUCCESS;
    }
}
