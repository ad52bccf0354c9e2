package io.mor.architecture;

import static com.tngtech.archunit.lang.conditions.ArchConditions.beAnnotatedWith;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.Stability;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import jakarta.inject.Inject;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.Constructor;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The arrows of the design, over the packaged classes: cli to report to study to runtime to api, and plugins to api. */
class ArrowsIT {

    /** Fewer means that a jar was not read, and rules would hold of nothing. */
    private static final int FEWEST_CLASSES = 300;

    /** At least so many classes below each root; a rule over fewer would hold of next to nothing. */
    private static final Map<String, Integer> FEWEST_BELOW =
            Map.of("io.mor.api", 45, "io.mor.runtime", 150, "io.mor.study", 5, "io.mor.report", 3, "io.mor.cli", 25);

    private static final int FEWEST_PLUGINS = 10;

    /** The package of each module that provides a plugin, in ArchUnit's form. */
    private static final String[] PLUGINS =
            Distribution.plugins().stream().map(name -> name + "..").toArray(String[]::new);

    private static final JavaClasses CLASSES = new ClassFileImporter().importUrls(Distribution.urls());

    @Test
    void allClassesWereRead() {
        System.out.println(CLASSES.size() + " classes of " + Distribution.jars().size() + " jars");
        assertTrue(CLASSES.size() >= FEWEST_CLASSES, () -> CLASSES.size() + " classes");
        FEWEST_BELOW.forEach((root, fewest) -> {
            long found = below(root);
            assertTrue(found >= fewest, () -> found + " classes below " + root + ", expected are at least " + fewest);
        });
        assertTrue(PLUGINS.length >= FEWEST_PLUGINS, () -> "plugins: " + Distribution.plugins());
        for (String plugin : Distribution.plugins()) {
            assertTrue(below(plugin) >= 2, () -> "fewer than 2 classes below " + plugin);
        }
    }

    private static long below(String root) {
        return CLASSES.stream()
                .filter(type -> (type.getPackageName() + ".").startsWith(root + "."))
                .count();
    }

    @Test
    void theApiDependsOnTheJdkAndJakartaInjectAlone() {
        classes()
                .that()
                .resideInAPackage("io.mor.api..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("io.mor.api..", "java..", "jakarta.inject..")
                .check(CLASSES);
    }

    @Test
    void pluginsSeeNeitherTheRuntimeNorTheCommandLine() {
        noClasses()
                .that()
                .resideInAnyPackage(PLUGINS)
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.mor.runtime..", "io.mor.cli..", "io.mor.testkit..")
                .check(CLASSES);
    }

    @Test
    void noPluginSeesAnother() {
        for (String plugin : PLUGINS) {
            String[] others = Arrays.stream(PLUGINS)
                    .filter(other -> !other.equals(plugin))
                    .toArray(String[]::new);
            noClasses()
                    .that()
                    .resideInAPackage(plugin)
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(others)
                    .check(CLASSES);
        }
    }

    @Test
    void noSignatureOfAnExportedPackageHasATypeOfALibrary() {
        Set<String> exported = Distribution.modules().stream()
                .flatMap(module -> module.descriptor().exports().stream())
                .map(ModuleDescriptor.Exports::source)
                .collect(Collectors.toSet());
        Set<String> strangers = new TreeSet<>();
        int units = 0;
        for (JavaClass type : CLASSES) {
            if (!exported.contains(type.getPackageName())
                    || !type.getModifiers().contains(JavaModifier.PUBLIC)) {
                continue;
            }
            for (JavaCodeUnit unit : type.getCodeUnits()) {
                if (unit.getModifiers().contains(JavaModifier.PUBLIC)) {
                    units++;
                    Stream.concat(Stream.of(unit.getRawReturnType()), unit.getRawParameterTypes().stream())
                            .map(JavaClass::getBaseComponentType)
                            .filter(used -> used.getName()
                                    .matches("(com\\.google|tools\\.jackson|jcuda|org\\.duckdb|picocli)\\..*"))
                            .forEach(used -> strangers.add(unit.getFullName() + " has " + used.getName()));
                }
            }
        }
        System.out.println(units + " public methods and constructors in exported packages");
        assertTrue(units > 1000, "signatures were read");
        assertEquals(Set.of(), strangers);
    }

    @Test
    void extensionsArePlainPublicClassesThatTakeTheirConfigAndTypesOfTheApi() {
        List<String> wrong = new ArrayList<>();
        int seen = 0;
        try (PluginCatalog catalog = PluginCatalog.discover()) {
            for (FoundExtension found : catalog.extensions()) {
                Extension extension = found.extension();
                Class<?> type = extension.implementation();
                seen++;
                List<Constructor<?>> constructors = Arrays.stream(type.getConstructors())
                        .filter(constructor -> constructor.isAnnotationPresent(Inject.class))
                        .toList();
                boolean plain = constructors.isEmpty()
                        && Arrays.stream(type.getConstructors()).anyMatch(one -> one.getParameterCount() == 0);
                if (!Modifier.isPublic(type.getModifiers())
                        || constructors.size() > 1
                        || constructors.isEmpty() && !plain) {
                    wrong.add(found.describe()
                            + " needs one public constructor annotated @Inject, or one without parameters");
                }
                constructors.stream()
                        .flatMap(constructor -> Arrays.stream(constructor.getParameterTypes()))
                        .filter(parameter -> parameter != extension.config()
                                && !parameter.getName().startsWith("io.mor.api."))
                        .forEach(parameter -> wrong.add(found.describe() + " takes a " + parameter.getName()));
            }
        }
        int extensions = seen;
        assertTrue(extensions >= 18, () -> extensions + " extensions");
        assertEquals(List.of(), wrong);
    }

    @Test
    void theRuntimeSeesNoPluginAndNoCommandLine() {
        noClasses()
                .that()
                .resideInAPackage("io.mor.runtime..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(PLUGINS)
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.mor.runtime..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.mor.study..", "io.mor.report..", "io.mor.cli..")
                .check(CLASSES);
    }

    @Test
    void studiesSeeTheRuntimeButNoPluginAndNoCommandLine() {
        noClasses()
                .that()
                .resideInAPackage("io.mor.study..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(PLUGINS)
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.mor.study..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.mor.cli..")
                .check(CLASSES);
    }

    @Test
    void reportsAreMadeOfResultsAloneAndStudiesKnowNothingOfThem() {
        noClasses()
                .that()
                .resideInAPackage("io.mor.report..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.mor.cli..", "io.mor.api..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.mor.report..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(PLUGINS)
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("io.mor.study..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.mor.report..")
                .check(CLASSES);
    }

    @Test
    void theDatabaseStaysInStudies() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.study..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.duckdb..", "java.sql..")
                .check(CLASSES);
    }

    @Test
    void guiceStaysWhereExtensionsAreMade() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.runtime.plugin..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.google.inject..")
                .check(CLASSES);
    }

    @Test
    void jacksonStaysInTheRuntimeInStudiesInReportsAndInTheCommandLine() {
        noClasses()
                .that()
                .resideOutsideOfPackages("io.mor.runtime..", "io.mor.study..", "io.mor.report..", "io.mor.cli..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("tools.jackson..")
                .check(CLASSES);
    }

    @Test
    void jcudaStaysInItsBackend() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.backend.cuda..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("jcuda..")
                .check(CLASSES);
    }

    @Test
    void picocliStaysInTheCommandLine() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("picocli..")
                .check(CLASSES);
    }

    @Test
    void onlyTheCommandLinePrintsOrEndsTheProcess() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .accessField(System.class, "out")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .accessField(System.class, "err")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .callMethod(System.class, "exit", int.class)
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .callMethod(Runtime.class, "exit", int.class)
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackage("io.mor.cli..")
                .should()
                .callMethod(Runtime.class, "halt", int.class)
                .check(CLASSES);
        noClasses().should().callMethod(Throwable.class, "printStackTrace").check(CLASSES);
    }

    @Test
    void nobodyLogsThroughJavaUtilLogging() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAPackage("java.util.logging..")
                .check(CLASSES);
    }

    @Test
    void everyPublicTypeOfTheApiSaysHowStableItIs() {
        classes()
                .that()
                .resideInAPackage("io.mor.api..")
                .and()
                .arePublic()
                .and()
                .areTopLevelClasses()
                .should(beAnnotatedWith(Stability.class))
                .check(CLASSES);
    }

    @Test
    void packagesOfTheRuntimeFormNoCycle() {
        slices().matching("io.mor.runtime.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void aPluginIsOneFlatPackage() {
        Set<String> deep = CLASSES.stream()
                .map(JavaClass::getPackageName)
                .filter(name -> Distribution.plugins().stream().anyMatch(plugin -> name.startsWith(plugin + ".")))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), deep, "packages below a plugin's own");
    }
}
