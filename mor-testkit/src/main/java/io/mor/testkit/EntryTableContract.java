package io.mor.testkit;

import io.mor.api.cache.KvVisit;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The entry tables of generation, against a model that keeps a map from position to pool row for every sequence and recursion. */
public interface EntryTableContract extends OnBench {

    @Test
    default void everyRecursionKeepsItsOwnEntries() {
        entryTables(List.of(KvVisit.own(1), KvVisit.own(2), KvVisit.own(3)), false);
    }

    @Test
    default void laterRecursionsReadTheFirstOnesEntries() {
        entryTables(List.of(KvVisit.own(1), KvVisit.shared(1), KvVisit.shared(1)), false);
    }

    @Test
    default void laterRecursionsLayTheirEntriesOverTheFirstOnes() {
        entryTables(List.of(KvVisit.own(1), KvVisit.overlaid(1), KvVisit.overlaid(1)), false);
    }

    @Test
    default void recursionsOfDifferentKindsMix() {
        entryTables(
                List.of(KvVisit.own(1), KvVisit.own(2), KvVisit.shared(1), KvVisit.overlaid(2), KvVisit.shared(2)),
                false);
    }

    @Test
    default void windowsHideOlderEntries() {
        entryTables(
                List.of(
                        new KvVisit(true, 1, false, 3),
                        new KvVisit(false, 1, false, 2),
                        new KvVisit(true, 1, true, 4),
                        new KvVisit(true, 4, false, 1)),
                false);
    }

    @Test
    default void rowsBeyondTheCountEnterNothing() {
        entryTables(List.of(KvVisit.own(1), KvVisit.overlaid(1), KvVisit.shared(1)), true);
    }

    private void entryTables(List<KvVisit> visits, boolean counted) {
        for (int seed = 0; seed < 5; seed++) {
            try (EntryTableScenario scenario = new EntryTableScenario(backend(), visits, seed)) {
                for (int step = 0; step < 25; step++) {
                    scenario.step(counted, "seed " + seed + ", step " + step + ", " + visits);
                }
            }
        }
    }
}
