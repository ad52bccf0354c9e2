package io.mor.testkit.api;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.Stability;
import io.mor.testkit.GoldenText;
import jakarta.inject.Inject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * The API that plugins are compiled against. Its signatures are committed beside this test, one file a package, so that a change of them is
 * always deliberate.
 */
class ApiSignatureTest {

    private static final int FEWEST_TYPES = 45;
    private static final Path ROOT = Path.of(System.getProperty("mor.project.root", ".."))
            .toAbsolutePath()
            .normalize();
    private static final Path SIGNATURES = ROOT.resolve("mor-testkit/src/test/resources/io/mor/testkit/api");
    private static final String UPDATE =
            "mvn -o -q -pl mor-testkit -am test -Dtest=ApiSignatureTest -Dsurefire.failIfNoSpecifiedTests=false -Dmor.update.golden=true";

    private static ModuleReference api() {
        try {
            Path location = Path.of(MorPlugin.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            return ModuleFinder.of(location).find("io.mor.api").orElseThrow();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The public top-level types of the exported packages. */
    private static Map<String, List<Class<?>>> types() {
        ModuleReference api = api();
        Map<String, List<Class<?>>> byPackage = new TreeMap<>();
        api.descriptor().exports().stream()
                .map(ModuleDescriptor.Exports::source)
                .forEach(name -> byPackage.put(name, new ArrayList<>()));
        try (ModuleReader reader = api.open();
                Stream<String> files = reader.list()) {
            for (String file : files.filter(name -> name.endsWith(".class") && !name.contains("-info"))
                    .sorted()
                    .toList()) {
                Class<?> type = Class.forName(
                        file.substring(0, file.length() - ".class".length()).replace('/', '.'));
                if (type.getNestHost() == type
                        && Modifier.isPublic(type.getModifiers())
                        && byPackage.containsKey(type.getPackageName())) {
                    byPackage.get(type.getPackageName()).add(type);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
        return byPackage;
    }

    @Test
    void signaturesAreAsCommitted() {
        List<Executable> checks = new ArrayList<>();
        types().forEach((name, types) -> {
            String text = types.stream()
                    .map(type -> String.join("\n", ApiSignatures.of(type)) + "\n")
                    .collect(Collectors.joining("\n", "package " + name + "\n\n", ""));
            checks.add(() -> new GoldenText(SIGNATURES.resolve(name + ".txt"), UPDATE).check(text));
        });
        assertAll(checks);
        try (Stream<Path> files = Files.list(SIGNATURES)) {
            List<String> committed =
                    files.map(file -> file.getFileName().toString()).sorted().toList();
            assertEquals(
                    types().keySet().stream().map(name -> name + ".txt").toList(),
                    committed,
                    "packages with committed signatures; remove those of packages that are gone");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void everyPublicTypeSaysSinceWhenAndHowStableItIsInJavadocAndAnnotationAlike() {
        List<Executable> checks = new ArrayList<>();
        types().values().stream()
                .flatMap(List::stream)
                .forEach(type -> checks.add(() -> {
                    Stability stability = type.getAnnotation(Stability.class);
                    assertTrue(
                            stability != null, () -> type.getName() + " lacks @Stability(status = ..., since = ...)");
                    Path source = ROOT.resolve("mor-api/src/main/java")
                            .resolve(type.getName().replace('.', '/') + ".java");
                    Matcher tag = Pattern.compile("(?m)^ \\* @since (\\S+)$").matcher(Files.readString(source));
                    assertTrue(
                            tag.find(),
                            () -> source + " lacks a line '@since " + stability.since() + "' in the type's Javadoc");
                    assertEquals(
                            stability.since(),
                            tag.group(1),
                            () -> type.getName() + ": @Stability(since) against @since");
                }));
        System.out.println(checks.size() + " public types");
        assertTrue(checks.size() >= FEWEST_TYPES, () -> checks.size() + " public types");
        assertAll(checks);
    }

    /** By the compiler's own check. Parameters and results that a sentence explains need no tag. */
    @Test
    void everyPublicMemberHasWellFormedJavadoc(@TempDir Path classes) throws Exception {
        DiagnosticCollector<JavaFileObject> said = new DiagnosticCollector<>();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files =
                        compiler.getStandardFileManager(said, Locale.ROOT, StandardCharsets.UTF_8);
                Stream<Path> sources = Files.find(
                        ROOT.resolve("mor-api/src/main/java"),
                        20,
                        (path, attributes) -> path.toString().endsWith(".java"))) {
            List<Path> all = sources.sorted().toList();
            assertTrue(all.size() > FEWEST_TYPES, () -> all.size() + " sources");
            Path inject = Path.of(Inject.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            List<String> options = List.of(
                    "-d",
                    classes.toString(),
                    "-proc:none",
                    "-Xdoclint:all/protected",
                    "-Xmaxwarns",
                    "10000",
                    "--module-path",
                    inject.toString());
            assertTrue(
                    compiler.getTask(null, files, said, options, null, files.getJavaFileObjectsFromPaths(all))
                            .call(),
                    () -> said.getDiagnostics().toString());
        }
        List<String> wrong = said.getDiagnostics().stream()
                .filter(one -> !one.getMessage(Locale.ROOT).matches("no @(param|return|throws).*"))
                .map(Object::toString)
                .toList();
        assertEquals(List.of(), wrong);
    }

    @Test
    void theApiRequiresJakartaInjectAlone() {
        List<String> requires = api().descriptor().requires().stream()
                .map(ModuleDescriptor.Requires::name)
                .sorted()
                .toList();
        assertEquals(List.of("jakarta.inject", "java.base"), requires);
        assertEquals(List.of(), List.copyOf(api().descriptor().opens()), "what it opens");
    }

    @Test
    void signaturesCarryTypesOfTheJdkAndOfTheApiAlone() {
        List<String> strangers = types().values().stream()
                .flatMap(List::stream)
                .flatMap(type -> Stream.concat(Stream.of(type), Arrays.stream(type.getDeclaredClasses())))
                .flatMap(type -> Arrays.stream(type.getMethods()))
                .flatMap(method -> Stream.concat(
                                Stream.of(method.getReturnType()), Arrays.stream(method.getParameterTypes()))
                        .map(ApiSignatureTest::element)
                        .filter(type -> !type.isPrimitive()
                                && !type.getName().startsWith("java.")
                                && !type.getName().startsWith("io.mor.api."))
                        .map(type -> method + " has " + type.getName()))
                .distinct()
                .toList();
        assertEquals(List.of(), strangers);
    }

    private static Class<?> element(Class<?> type) {
        return type.isArray() ? element(type.getComponentType()) : type;
    }

    /** What the author of an extension must write; all else has a default. A method added to an extension point without one breaks every plugin. */
    @Test
    void anExtensionNeedsTheseMethodsAndNoOthers() {
        Map<ExtensionKind, List<String>> required = new TreeMap<>();
        for (ExtensionKind kind : ExtensionKind.values()) {
            if (kind != ExtensionKind.BACKEND) { // its primitives are listed with the signatures
                required.put(
                        kind,
                        Arrays.stream(kind.type().getMethods())
                                .filter(ApiSignatures::isRequired)
                                .map(Method::getName)
                                .sorted()
                                .toList());
            }
        }
        assertEquals(
                Map.of(
                        ExtensionKind.ROUTER, List.of("route"),
                        ExtensionKind.SELECTOR, List.of("select"),
                        ExtensionKind.RECURSION_BLOCK, List.of("apply", "multiplyAddsPerRow"),
                        ExtensionKind.KV_CACHE, List.of("visit"),
                        ExtensionKind.TOKENIZER, List.of("decode", "encode", "fingerprint", "vocabularySize"),
                        ExtensionKind.METRIC_SINK, List.of("record")),
                required);
        assertEquals(
                List.of("extensions"),
                Arrays.stream(MorPlugin.class.getMethods())
                        .filter(ApiSignatures::isRequired)
                        .map(Method::getName)
                        .toList());
    }
}
