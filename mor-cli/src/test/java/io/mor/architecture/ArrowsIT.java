package io.mor.architecture;

import static com.tngtech.archunit.lang.conditions.ArchConditions.beAnnotatedWith;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import io.mor.api.plugin.Stability;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The arrows of the design, over the packaged classes: cli to report to study to runtime to api, and plugins to api. */
class ArrowsIT {

    /** Fewer means that a jar was not read, and rules would hold of nothing. */
    private static final int FEWEST_CLASSES = 300;

    private static final String[] PLUGINS = {
        "io.mor.router..",
        "io.mor.kvcache..",
        "io.mor.block..",
        "io.mor.backend..",
        "io.mor.tokenizer..",
        "io.mor.metrics.."
    };

    private static final JavaClasses CLASSES = new ClassFileImporter().importUrls(Distribution.urls());

    @Test
    void allClassesWereRead() {
        System.out.println(CLASSES.size() + " classes of " + Distribution.jars().size() + " jars");
        assertTrue(CLASSES.size() >= FEWEST_CLASSES, () -> CLASSES.size() + " classes");
        for (String root : new String[] {
            "io.mor.api",
            "io.mor.runtime",
            "io.mor.study",
            "io.mor.report",
            "io.mor.cli",
            "io.mor.router",
            "io.mor.kvcache",
            "io.mor.block",
            "io.mor.backend"
        }) {
            assertTrue(
                    CLASSES.stream().anyMatch(type -> type.getPackageName().startsWith(root)),
                    () -> "no class below " + root);
        }
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
        slices().matching("io.mor.(router|kvcache|block|backend|tokenizer|metrics).(*)..")
                .should()
                .notDependOnEachOther()
                .check(CLASSES);
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
                .filter(name -> name.matches("io\\.mor\\.(router|kvcache|block|backend|tokenizer|metrics)\\..*"))
                .filter(name -> name.split("\\.").length > 4)
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), deep, "packages below a plugin's own");
    }
}
