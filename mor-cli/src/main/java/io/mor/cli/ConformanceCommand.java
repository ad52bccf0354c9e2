package io.mor.cli;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.conformance.ConformanceResult;
import io.mor.runtime.experiment.Mor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor conformance}. */
@Command(
        name = "conformance",
        description = {
            "Run golden cases: forward, losses, selections, every gradient, and causal decoding token by token.",
            "Prints the worst difference, relative to the largest magnitude of each tensor, per kind of tensor and case. The last line is JSON. "
                    + "Fails if a case is outside its tolerances."
        })
final class ConformanceCommand implements Callable<Integer> {

    private static final String CASE_FILE = "case.json";

    private final Console console;

    @Parameters(
            arity = "1..*",
            paramLabel = "DIR",
            description = "Folders of cases (case.json, case.safetensors), or folders of such folders.")
    private List<Path> folders;

    @Option(
            names = "--backend",
            paramLabel = "ID",
            defaultValue = "reference",
            description = "reference, cpu, cuda, ... Default: ${DEFAULT-VALUE}.")
    private String backend;

    @Mixin
    private PluginOptions plugins;

    ConformanceCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        List<Path> cases = new ArrayList<>();
        for (Path folder : folders) {
            cases.addAll(casesIn(folder));
        }
        List<ConformanceResult> results;
        try (Mor mor = Mor.open(plugins.folders())) {
            results = mor.conformance(cases, ExtensionConfig.of(backend), this::print);
        }
        long outside = results.stream().filter(result -> !result.conforms()).count();
        console.out().println(Json.line(summary(results, outside)));
        if (outside > 0) {
            console.say(outside + " of " + results.size() + " cases are outside the tolerances on backend " + backend);
            return ExitCode.FAILURE;
        }
        return ExitCode.SUCCESS;
    }

    private static List<Path> casesIn(Path folder) throws IOException {
        if (Files.isRegularFile(folder.resolve(CASE_FILE))) {
            return List.of(folder);
        }
        if (!Files.isDirectory(folder)) {
            throw new UsageException(
                    folder + " is not a folder; give folders that hold a " + CASE_FILE + ", or folders of them");
        }
        try (Stream<Path> inside = Files.list(folder)) {
            List<Path> cases = inside.filter(path -> Files.isRegularFile(path.resolve(CASE_FILE)))
                    .sorted()
                    .toList();
            if (cases.isEmpty()) {
                throw new UsageException(
                        "no golden case in " + folder + ": neither it nor a folder in it holds a " + CASE_FILE);
            }
            return cases;
        }
    }

    private void print(ConformanceResult result) {
        String worst = result.worst().entrySet().stream()
                .map(entry -> entry.getKey() + " " + String.format(Locale.ROOT, "%.1e", entry.getValue()))
                .collect(Collectors.joining(", "));
        console.out().println((result.conforms() ? "ok    " : "FAIL  ") + result.name() + "  " + worst);
        result.failures().forEach(failure -> console.out().println("      " + failure));
    }

    private Map<String, Object> summary(List<ConformanceResult> results, long outside) {
        Map<String, Double> worst = new LinkedHashMap<>();
        results.forEach(
                result -> result.worst().forEach((kind, difference) -> worst.merge(kind, difference, Math::max)));
        Map<String, Object> cases = new LinkedHashMap<>();
        for (ConformanceResult result : results) {
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("conforms", result.conforms());
            one.put("worst", result.worst());
            one.put("failures", result.failures());
            cases.put(result.name(), one);
        }
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("backend", backend);
        summary.put("cases", results.size());
        summary.put("outside", outside);
        summary.put("conforms", outside == 0);
        summary.put("worst", worst);
        summary.put("results", cases);
        return summary;
    }
}
