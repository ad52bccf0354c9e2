package io.mor.defects;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import io.mor.testkit.GoldenText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** Each defect is found, by a test whose message says what is wrong; the right thing beside it passes. The table of them is in docs/testing.md. */
class SeededDefectsTest {

    private static final int FEWEST = 10;
    private static final Path DOCUMENT = Path.of(System.getProperty("mor.project.root", ".."), "docs/testing.md")
            .toAbsolutePath()
            .normalize();
    private static final String UPDATE =
            "mvn -o -q -pl mor-cli -am test -Dtest=SeededDefectsTest -Dsurefire.failIfNoSpecifiedTests=false -Dmor.update.golden=true";

    /**
     * A defect.
     *
     * @param name in words
     * @param holder the contract of the defective thing
     * @param test which of its tests must fail
     * @param says what the message must say
     */
    record Seeded(String name, Class<?> holder, String test, String says) {
        @Override
        public String toString() {
            return name;
        }

        String method() {
            return test.replaceAll("\\(.*", "");
        }

        String contract() {
            Class<?> type = holder;
            while (type.getSuperclass() != Object.class
                    && !type.getPackageName().equals("io.mor.testkit")) {
                type = type.getSuperclass();
            }
            return type.getPackageName().equals("io.mor.testkit") ? type.getSimpleName() : "AssertingBackend";
        }
    }

    static List<Seeded> defects() {
        return List.of(
                new Seeded(
                        "a router whose scores depend on later tokens",
                        RouterDefects.ScoresDependOnLaterTokens.class,
                        "aLaterRowChangesNothingForEarlierOnesCausally",
                        "not causal"),
                new Seeded(
                        "a router whose gate is not applied",
                        RouterDefects.GateIsNotApplied.class,
                        "aTokenBecomesWhatItsFormulaSays",
                        "gate"),
                new Seeded(
                        "a router whose selection is not sorted",
                        RouterDefects.SelectionIsNotSorted.class,
                        "selectsAscendingRowsAmongThoseSelectedBefore",
                        "not ascending"),
                new Seeded(
                        "a router that selects a row twice",
                        RouterDefects.RowIsSelectedTwice.class,
                        "selectsAscendingRowsAmongThoseSelectedBefore",
                        "repeats"),
                new Seeded(
                        "a router whose loss is a sum instead of a mean",
                        RouterDefects.LossIsASumInsteadOfAMean.class,
                        "lossesAreWhatTheirFormulasSay",
                        "score-loss"),
                new Seeded(
                        "a router that remembers calls before",
                        RouterDefects.DecisionDependsOnCallsBefore.class,
                        "theSameCallGivesTheSameBits",
                        "twice"),
                new Seeded(
                        "a router that keeps a tensor from call to call",
                        RouterDefects.TensorIsKeptFromCallToCall.class,
                        "theSameCallGivesTheSameBits",
                        "is used after"),
                new Seeded(
                        "a router with a parameter that is never used",
                        RouterDefects.ParameterIsNeverUsed.class,
                        "everyTrainedParameterGetsAGradient",
                        "router.temperature gets no gradient"),
                new Seeded(
                        "a router whose gate lets no gradient through",
                        RouterDefects.GradientDoesNotReachTheScores.class,
                        "gradientsAgreeWithCentralDifferences",
                        "gradient of router"),
                new Seeded(
                        "a causal selector that ranks its candidates",
                        RouterDefects.SelectorRanksItsCandidates.class,
                        "aCandidateAloneGetsTheSameDecision",
                        "alone"),
                new Seeded(
                        "a block that mixes all rows",
                        BlockDefects.MixesAllRows.class,
                        "aLaterTokenChangesNothingForEarlierOnes",
                        "not causal"),
                new Seeded(
                        "a block that takes a row's place in the batch for its position",
                        BlockDefects.TakesThePlaceInTheBatchForThePosition.class,
                        "aPromptAtOnceHasTheBitsOfTokenByToken",
                        "token by token"),
                new Seeded(
                        "a block that projects keys and values where none are stored",
                        BlockDefects.ProjectsWhereNothingIsStored.class,
                        "aPromptAtOnceHasTheBitsOfTokenByToken",
                        "projects() is false"),
                new Seeded(
                        "a block that counts too few multiply-adds",
                        BlockDefects.CountsTooFewMultiplyAdds.class,
                        "multiplyAddsAreThoseOfItsMatrixProducts",
                        "multiply-adds of a row"),
                new Seeded(
                        "a cache that forgets a page",
                        CacheDefects.ForgetsAPage.class,
                        "aFirstTokenIsSeenByTheLastUnlessWindowsHideIt",
                        "the cache forgot it"),
                new Seeded(
                        "a cache that reads what nobody stored",
                        CacheDefects.ReadsWhatNobodyStored.class,
                        "everyPlanCanBeCarriedOutAndStaysTheSame",
                        "writes nothing"),
                new Seeded(
                        "a cache that changes its plan",
                        CacheDefects.ChangesItsPlan.class,
                        "everyPlanCanBeCarriedOutAndStaysTheSame",
                        "a strategy is immutable"),
                new Seeded(
                        "a cache that shares only the selected tokens",
                        CacheDefects.SharesOnlyWhatWasSelected.class,
                        "whatUnselectedTokensLeaveIsThereForLaterReaders",
                        "everyCandidateRuns(1) is false"),
                new Seeded(
                        "a backend with a wrong backward kernel",
                        BackendDefects.WrongBackward.class,
                        "unaryBackwardIsTheSlope(io.mor.api.tensor.Unary)",
                        "central differences say"),
                new Seeded(
                        "a backend whose rows depend on how many there are",
                        BackendDefects.RowsDependOnTheirNumber.class,
                        "rowSumSumsEachRow",
                        "has other bits in a call"),
                new Seeded(
                        "a backend whose memory can be used after its release",
                        BackendDefects.MemoryLivesOnAfterItsRelease.class,
                        "releasedMemoryIsRefused",
                        "allows what it must refuse"),
                new Seeded("a leak", BackendDefects.Users.class, "leaks", "never released: tensor [3, 4]"),
                new Seeded(
                        "a tensor that is released twice",
                        BackendDefects.Users.class,
                        "releasesTwice",
                        "released twice"),
                new Seeded(
                        "a tensor that is used after its release",
                        BackendDefects.Users.class,
                        "usesAfterRelease",
                        "is used after"));
    }

    private static List<TestExecutionSummary.Failure> failures(DiscoverySelector selector) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selector)
                                .build(),
                        listener);
        TestExecutionSummary summary = listener.getSummary();
        assertTrue(summary.getTestsStartedCount() > 0, () -> "no test was found for " + selector);
        return summary.getFailures();
    }

    /** The first line, with numbers that have fractions left out: their last digits are a matter of the machine. */
    private static String message(TestExecutionSummary.Failure failure) {
        String first = String.valueOf(failure.getException().getMessage())
                .lines()
                .findFirst()
                .orElse("");
        return first.replace(" ==> expected: <true> but was: <false>", "")
                .replaceAll("-?\\d+\\.\\d+(E-?\\d+|e-?\\d+)?", "#")
                .replaceAll("-?\\b0\\b(?=, not #)", "#");
    }

    private static String found(Seeded defect) {
        List<String> messages = failures(selectMethod(defect.holder().getName() + "#" + defect.test())).stream()
                .map(SeededDefectsTest::message)
                .toList();
        return messages.stream()
                .filter(message -> message.contains(defect.says()))
                .findFirst()
                .orElseThrow(() -> new AssertionError(
                        defect + ": " + defect.test() + " should fail with '" + defect.says() + "', not " + messages));
    }

    @Test
    void everyDefectIsFoundWithAMessageThatNamesIt() {
        StringBuilder table = new StringBuilder("| defect | found by | message |\n|---|---|---|\n");
        List<AssertionError> missed = new ArrayList<>();
        for (Seeded defect : defects()) {
            try {
                String row = "| " + defect + " | `" + defect.contract() + "`, " + defect.method() + " | "
                        + found(defect).replace("|", "\\|") + " |";
                System.out.println(row);
                table.append(row).append("\n");
            } catch (AssertionError notFound) {
                missed.add(notFound);
            }
        }
        assertEquals(List.of(), missed.stream().map(Throwable::getMessage).toList());
        assertTrue(defects().size() >= FEWEST);
        new GoldenText(DOCUMENT, UPDATE).checkPart("defects", table.toString());
    }

    static Stream<Class<?>> right() {
        return Stream.of(RouterDefects.Right.class, CacheDefects.Right.class, BlockDefects.Right.class);
    }

    /** Else a contract that always fails would find every defect. */
    @ParameterizedTest
    @MethodSource("right")
    void theSameWithoutDefectPasses(Class<?> contract) {
        assertEquals(
                List.of(),
                failures(selectClass(contract)).stream()
                        .map(failure -> failure.getTestIdentifier().getDisplayName() + ": " + message(failure))
                        .toList());
    }

    @Test
    void theBackendWithoutDefectPassesWhatFindsThem() {
        for (Seeded defect : defects()) {
            if (defect.holder() != BackendDefects.Users.class
                    && defect.contract().equals("BackendContract")) {
                assertEquals(
                        List.of(),
                        failures(selectMethod(BackendDefects.Right.class.getName() + "#" + defect.test())).stream()
                                .map(SeededDefectsTest::message)
                                .toList());
            }
        }
    }
}
