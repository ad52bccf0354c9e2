package io.mor.cli;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ConfigKey;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code mor plugins show ID}. */
@Command(name = "show", description = "Explain an extension and print an example of its section in a config.")
final class PluginsShowCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(paramLabel = "ID", description = "Id of the extension, for example expert-choice.")
    private String id;

    @Mixin
    private PluginOptions plugins;

    PluginsShowCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        try (PluginCatalog catalog = plugins.discover()) {
            List<FoundExtension> found = catalog.extensions().stream()
                    .filter(extension -> extension.extension().id().equals(id))
                    .toList();
            if (found.isEmpty()) {
                List<String> ids = catalog.extensions().stream()
                        .map(extension -> extension.extension().id())
                        .distinct()
                        .toList();
                throw new UsageException("no extension '" + id + "'; there are " + String.join(", ", ids)
                        + "; looked in " + String.join(", ", catalog.searched()));
            }
            found.forEach(this::print);
        }
        return ExitCode.SUCCESS;
    }

    private void print(FoundExtension found) {
        console.out()
                .println(found.extension().kind().id() + " '" + id + "': "
                        + found.extension().help());
        new Table()
                .row("kind", found.extension().kind().id())
                .row("module", found.source().name())
                .row("version", found.source().version())
                .row("jar", found.source().location())
                .row("class", found.extension().implementation().getName())
                .print(console.out(), "  ");
        console.out().println();
        if (ConfigKey.of(found.extension().config()).isEmpty()) {
            console.out().println("There is nothing to configure.");
        } else {
            console.out().println("Keys:");
            console.out().println();
            PluginsCommand.printKeys(console, found, "  ");
        }
        console.out().println();
        console.out().println("In a config:");
        console.out().println();
        example(found).forEach(line -> console.out().println("  " + line));
        console.out().println();
    }

    /** Its section of a config, as lines of YAML, with required keys and, at their defaults, others; two in all. */
    static List<String> example(FoundExtension found) {
        String options = ConfigKey.of(found.extension().config()).stream()
                .filter(key -> !key.path().contains(".")
                        && (key.required() || key.defaultValue().isPresent()))
                .sorted(Comparator.comparing(key -> !key.required()))
                .limit(2)
                .map(key -> ", " + key.path() + ": " + quoted(key.defaultValue().orElseGet(() -> anyValue(key))))
                .collect(Collectors.joining());
        String mapping = "{type: " + found.extension().id() + options + "}";
        return switch (found.extension().kind()) {
            case RECURSION_BLOCK -> List.of("model:", "  block: " + mapping);
            case METRIC_SINK -> List.of("metrics:", "  sinks: [" + mapping + "]");
            case ROUTER, SELECTOR, KV_CACHE, BACKEND, TOKENIZER ->
                List.of(found.extension().kind().id() + ": " + mapping);
        };
    }

    /** Something that a required key may be: its least value, or what its help names after the word like. */
    private static String anyValue(ConfigKey key) {
        Matcher least = Pattern.compile("at least (\\S+)").matcher(key.type());
        if (least.find()) {
            return least.group(1);
        }
        Matcher like = Pattern.compile("like (\\S+)").matcher(key.help());
        if (like.find()) {
            return like.group(1);
        }
        return key.type().contains(" | ")
                ? key.type().substring(0, key.type().indexOf(" | "))
                : key.type().contains("number") ? "1" : "...";
    }

    private static String quoted(String value) {
        return value.isEmpty() ? "\"\"" : value;
    }
}
