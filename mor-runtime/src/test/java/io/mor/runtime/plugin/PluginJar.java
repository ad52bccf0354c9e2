package io.mor.runtime.plugin;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/** Compiles a plugin as its author would: with mor-api on the module path and nothing else of mor. */
final class PluginJar {

    private final Map<String, String> files = new LinkedHashMap<>();
    private final List<Path> libraries = new ArrayList<>();
    private boolean modular;

    /** A modular plugin in {@code pkg} with a tokenizer {@code id} whose fingerprint is {@code fingerprint} (an expression). */
    static PluginJar tokenizer(String pkg, String id, String fingerprint) {
        return new PluginJar()
                .source(pkg + ".Plugin", """
            package %s;
            import io.mor.api.plugin.*;
            public final class Plugin implements MorPlugin {
              @Override public java.util.List<Extension> extensions() {
                return java.util.List.of(new Extension(ExtensionKind.TOKENIZER, "%s", Text.class, Text.Config.class, "a test"));
              }
            }
            """.formatted(pkg, id))
                .source(pkg + ".Text", """
            package %s;
            import io.mor.api.plugin.*;
            public final class Text implements io.mor.api.data.Tokenizer {
              public record Config(@DefaultValue("3") @Range(min = 1) int size) {}
              private final Config config;
              @jakarta.inject.Inject public Text(Config config) { this.config = config; }
              @Override public int vocabularySize() { return config.size(); }
              @Override public int[] encode(String text) { return new int[0]; }
              @Override public byte[] decode(int[] ids) { return new byte[0]; }
              @Override public String fingerprint() { return %s; }
            }
            """.formatted(pkg, fingerprint))
                .provides(pkg + ".Plugin")
                .module("module " + pkg + " { requires io.mor.api; exports " + pkg
                        + "; provides io.mor.api.plugin.MorPlugin with " + pkg + ".Plugin; }");
    }

    PluginJar source(String type, String text) {
        files.put(type.replace('.', '/') + ".java", text);
        return this;
    }

    PluginJar provides(String type) {
        files.put("META-INF/services/io.mor.api.plugin.MorPlugin", type + "\n");
        return this;
    }

    PluginJar module(String descriptor) {
        files.put("module-info.java", descriptor);
        modular = true;
        return this;
    }

    PluginJar without(String file) {
        files.remove(file);
        modular = files.containsKey("module-info.java");
        return this;
    }

    PluginJar replace(String type, String from, String to) {
        files.compute(type.replace('.', '/') + ".java", (name, text) -> text.replace(from, to));
        return this;
    }

    /** Something it is compiled with, before mor-api: a library, or what the API is imagined to be. */
    PluginJar with(Path library) {
        libraries.add(library);
        return this;
    }

    Path build(Path jar) throws IOException {
        Path work = Files.createTempDirectory(jar.toAbsolutePath().getParent().getParent(), "build");
        List<String> arguments = new ArrayList<>(
                List.of("-d", work.resolve("classes").toString(), "--release", "25", "-proc:none", "-nowarn"));
        List<String> path =
                new ArrayList<>(libraries.stream().map(Path::toString).toList());
        path.addAll(TestHosts.apiPath());
        arguments.addAll(List.of(
                modular ? "--module-path" : "--class-path", String.join(System.getProperty("path.separator"), path)));
        for (Map.Entry<String, String> file : files.entrySet()) {
            Path target = work.resolve(file.getKey().endsWith(".java") ? "src" : "classes")
                    .resolve(file.getKey());
            Files.createDirectories(target.getParent());
            Files.writeString(target, file.getValue());
            if (file.getKey().endsWith(".java")) {
                arguments.add(target.toString());
            }
        }
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (arguments.getLast().endsWith(".java")
                && compiler.run(null, null, null, arguments.toArray(String[]::new)) != 0) {
            throw new IllegalStateException("test plugin does not compile");
        }
        Files.createDirectories(jar.getParent());
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out);
                Stream<Path> classes = Files.walk(Files.createDirectories(work.resolve("classes")))) {
            for (Path file : classes.filter(Files::isRegularFile).sorted().toList()) {
                entries.putNextEntry(new JarEntry(
                        work.resolve("classes").relativize(file).toString().replace('\\', '/')));
                entries.write(Files.readAllBytes(file));
                entries.closeEntry();
            }
        }
        return jar;
    }
}
