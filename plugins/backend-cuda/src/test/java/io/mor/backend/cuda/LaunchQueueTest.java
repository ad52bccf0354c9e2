package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** When launches are replayed as a graph and when they go one by one; on a GPU that is a log. */
class LaunchQueueTest {

    private static final int MANY = 200;

    /** Keeps what was done, in order, with the arguments with which it was done. */
    private static final class Log implements LaunchQueue.Target {
        final List<String> done = new ArrayList<>();
        int openGraphs;
        int capturesToFail;
        int replacementsToFail;
        int startedCalls;

        @Override
        public void start(Launch launch) {
            done.add(text(launch));
        }

        private static String text(Launch launch) {
            return launch instanceof Launch.Kernel kernel
                    ? kernel.name() + kernel.grid()[0] + List.of(kernel.arguments()[0])
                    : launch.toString();
        }

        @Override
        public LaunchQueue.Graph capture(List<Launch> launches) {
            if (capturesToFail > 0) {
                capturesToFail--;
                throw new IllegalStateException("the driver cannot");
            }
            openGraphs++;
            List<Launch> nodes = new ArrayList<>(launches);
            return new LaunchQueue.Graph() {
                private boolean open = true;

                @Override
                public void replace(int index, Launch.Kernel launch) {
                    assertTrue(open && nodes.get(index) instanceof Launch.Kernel);
                    if (replacementsToFail > 0) {
                        replacementsToFail--;
                        throw new IllegalStateException("the driver will not");
                    }
                    nodes.set(index, launch);
                }

                @Override
                public void start() {
                    assertTrue(open);
                    nodes.forEach(Log.this::start);
                }

                @Override
                public void close() {
                    assertTrue(open);
                    open = false;
                    openGraphs--;
                }
            };
        }

        @Override
        public void started() {
            startedCalls++;
        }
    }

    private final Log log = new Log();
    private final LaunchQueue queue = new LaunchQueue(log, true);
    private final List<String> expected = new ArrayList<>();

    private static Launch.Kernel kernel(int number, int blocks, long argument) {
        return new Launch.Kernel("kernel", number, new int[] {blocks, 1, 1, 256, 1, 0}, new long[] {argument, 7});
    }

    private void add(Launch launch) {
        expected.add(Log.text(launch));
        queue.add(launch);
    }

    private void addLibrary(String call) {
        add(new Launch.Library(call, () -> {}));
    }

    private void run(Object key, int launches, int blocks, long argument) {
        queue.repeated(key, () -> {
            for (int i = 0; i < launches; i++) {
                add(kernel(i, blocks, i == launches / 2 ? argument : 0));
            }
            addLibrary("product");
        });
        assertEquals(expected, log.done, "after " + queue.counts());
    }

    @Test
    void outsideOfRepeatedWorkALaunchGoesAtOnce() {
        add(kernel(1, 1, 1));
        assertEquals(expected, log.done);
    }

    @Test
    void theSecondRunIsCapturedAndThoseAfterItAreReplayed() {
        for (int i = 0; i < 5; i++) {
            run("step", MANY, 3, 0);
        }
        assertEquals(new LaunchQueue.Counts(4, 1, 1), queue.counts());
    }

    @Test
    void argumentsThatChangeFromRunToRunAreChangedInTheGraph() {
        for (int i = 0; i < 6; i++) {
            run("step", MANY, 3, i);
        }
        assertEquals(new LaunchQueue.Counts(5, 1, 1), queue.counts());
    }

    @Test
    void otherShapesGoOneByOneAndAreThenCapturedAnew() {
        run("step", MANY, 3, 0);
        run("step", MANY, 3, 0);
        run("step", MANY, 4, 0);
        assertEquals(0, log.openGraphs, "the graph of the old shapes is gone");
        run("step", MANY, 4, 0);
        run("step", MANY, 4, 1);
        assertEquals(new LaunchQueue.Counts(3, 2, 2), queue.counts());
        assertEquals(1, log.openGraphs);
    }

    @Test
    void fewerAndMoreLaunchesGoOneByOne() {
        run("step", MANY, 3, 0);
        run("step", MANY, 3, 0);
        run("step", MANY - 1, 3, 0);
        run("step", MANY + 1, 3, 0);
        run("step", 0, 3, 0);
        assertEquals(new LaunchQueue.Counts(1, 1, 4), queue.counts());
    }

    @Test
    void aCallOfALibraryThatIsNotTheSameIsNeverReplayed() {
        for (int i = 0; i < 4; i++) {
            int call = i;
            queue.repeated("step", () -> {
                add(kernel(1, 1, 0));
                addLibrary("product " + call / 3);
            });
            assertEquals(expected, log.done);
        }
        assertEquals(new LaunchQueue.Counts(2, 1, 2), queue.counts());
    }

    @Test
    void whereMemoryMovedTheGraphIsMadeAnewInsteadOfChangingMostOfIt() {
        for (int place = 0; place < 4; place++) {
            for (int i = 0; i < 2; i++) {
                int address = place;
                queue.repeated("step", () -> {
                    for (int k = 0; k < MANY; k++) {
                        add(kernel(k, 1, address));
                    }
                });
                assertEquals(expected, log.done);
            }
        }
        assertEquals(new LaunchQueue.Counts(4, 4, 4), queue.counts());
    }

    @Test
    void keysHaveGraphsOfTheirOwnAndTheLeastUsedGoFirst() {
        for (int round = 0; round < 3; round++) {
            for (int key = 0; key < 8; key++) {
                run("step " + key, MANY, key + 1, 0);
            }
        }
        assertEquals(new LaunchQueue.Counts(16, 8, 8), queue.counts());
        run("another", MANY, 9, 0);
        assertEquals(7, log.openGraphs);
        queue.close();
        assertEquals(0, log.openGraphs);
    }

    @Test
    void aReadStartsWhatCameBeforeAndThatRunIsNotReplayed() {
        for (int i = 0; i < 4; i++) {
            queue.repeated("step", () -> {
                add(kernel(1, 1, 0));
                assertTrue(queue.keepsBack());
                queue.flush();
                assertEquals(expected, log.done, "at the read");
                add(kernel(2, 1, 0));
            });
            assertEquals(expected, log.done);
        }
        assertFalse(queue.keepsBack());
        assertEquals(new LaunchQueue.Counts(0, 0, 4), queue.counts());
    }

    @Test
    void whatThrowsHasStartedWhatCameBefore() {
        assertThrows(
                IllegalStateException.class,
                () -> queue.repeated("step", () -> {
                    add(kernel(1, 1, 0));
                    throw new IllegalStateException("on purpose");
                }));
        assertEquals(expected, log.done);
        assertFalse(queue.keepsBack());
        add(kernel(2, 1, 0));
        assertEquals(expected, log.done);
    }

    @Test
    void aDriverThatCannotCaptureGetsLaunchesOneByOneFromThenOn() {
        log.capturesToFail = 1;
        for (int i = 0; i < 4; i++) {
            run("step", MANY, 3, i);
        }
        assertEquals(0, queue.counts().captured());
        assertEquals(0, queue.counts().replayed());
    }

    @Test
    void aGraphThatCannotBeChangedIsLeftAndNothingIsDoneTwice() {
        run("step", MANY, 3, 0);
        run("step", MANY, 3, 1);
        log.replacementsToFail = 1;
        run("step", MANY, 3, 2);
        run("step", MANY, 3, 3);
        assertEquals(1, queue.counts().replayed());
        assertEquals(0, log.openGraphs);
    }

    @Test
    void withoutGraphsEverythingGoesAtOnce() {
        LaunchQueue plain = new LaunchQueue(log, false);
        plain.repeated("step", () -> {
            plain.add(kernel(1, 1, 0));
            assertEquals(1, log.done.size());
        });
    }

    @Test
    void whoWaitsForStartsIsToldAfterEveryRun() {
        for (int i = 0; i < 3; i++) {
            run("step", MANY, 3, 0);
        }
        assertEquals(3, log.startedCalls);
    }

    /** Whatever a program does, the same launches with the same arguments happen in the same order. */
    @Test
    void anyProgramDoesWhatItWouldDoWithoutGraphs() {
        for (int seed = 0; seed < 60; seed++) {
            Random random = new Random(seed);
            Log target = new Log();
            target.capturesToFail = random.nextInt(20) == 0 ? 1 : 0;
            List<String> wanted = new ArrayList<>();
            Map<Integer, Integer> shapes = new HashMap<>();
            try (LaunchQueue tested = new LaunchQueue(target, true)) {
                for (int step = 0; step < 30; step++) {
                    int key = random.nextInt(3);
                    if (random.nextInt(4) == 0) {
                        shapes.put(key, random.nextInt(1, 6));
                    }
                    int shape = shapes.getOrDefault(key, 1);
                    boolean reads = random.nextInt(25) == 0;
                    tested.repeated(key, () -> {
                        for (int i = 0; i < 10 * shape; i++) {
                            Launch launch = random.nextInt(200) == 0
                                    ? new Launch.Library("call " + random.nextInt(3), () -> {})
                                    : kernel(i, shape, random.nextInt(2));
                            wanted.add(Log.text(launch));
                            tested.add(launch);
                            if (reads && i == 5) {
                                tested.flush();
                                assertEquals(wanted, target.done);
                            }
                        }
                    });
                    assertEquals(wanted, target.done, "seed " + seed + ", step " + step);
                }
            }
            assertEquals(0, target.openGraphs, "seed " + seed);
        }
    }
}
