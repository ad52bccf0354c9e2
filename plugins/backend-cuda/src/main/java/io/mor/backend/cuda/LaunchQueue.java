package io.mor.backend.cuda;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Where launches go on their way to the GPU. Outside {@link #repeated} each goes at once. Within, they are kept back, and when the work has ended
 * they are compared with those of the run before under the same key: if they are the same but for arguments of our own kernels, the GPU gets a
 * graph that was captured of them, with the changed arguments put in; else it gets them one by one. So a replay does what the launches would
 * have done, whatever the work decided on: learning rates, random keys and addresses are arguments like all others.
 *
 * <p>Where the host reads, what was kept back goes to the GPU first, and that run is not replayed.
 *
 * <p>Thread safety: one thread.
 */
final class LaunchQueue implements AutoCloseable {

    private static final System.Logger LOG = System.getLogger(LaunchQueue.class.getName());
    private static final int TAPES = 8;
    private static final int FEW = 64; // changed launches that are always worth a replay
    private static final int READS_BEFORE_WARNING = 3;

    /** What takes launches. */
    interface Target {
        /** Starts one. */
        void start(Launch launch);

        /**
         * Makes a graph of launches without starting them.
         *
         * @throws RuntimeException if they cannot be captured; then nothing was started
         */
        Graph capture(List<Launch> launches);

        /** All that was kept back has been started. */
        void started();
    }

    /** Launches that can be started together. */
    interface Graph extends AutoCloseable {
        /** Changes the arguments of one launch for the starts to come. */
        void replace(int index, Launch.Kernel launch);

        /** Starts all of them. */
        void start();

        @Override
        void close();
    }

    /** How often which way was taken. */
    record Counts(long replayed, long captured, long oneByOne) {}

    /** The last run under a key. */
    private static final class Tape {
        private List<Launch> launches = List.of();
        private Optional<Graph> graph = Optional.empty();

        void close() {
            graph.ifPresent(Graph::close);
            graph = Optional.empty();
        }
    }

    private final Target target;
    private boolean enabled;
    private boolean paused;
    private final Map<Object, Tape> tapes = new LinkedHashMap<>(16, 0.75f, true);
    private final List<Launch> keptBack = new ArrayList<>();
    private boolean keepsBack;
    private boolean wasRead;
    private final Map<Object, Integer> readsInARow = new HashMap<>();
    private boolean warned;
    private long replayed;
    private long captured;
    private long oneByOne;

    /**
     * @param enabled whether graphs are used at all
     */
    LaunchQueue(Target target, boolean enabled) {
        this.target = target;
        this.enabled = enabled;
    }

    /** Whether launches are kept back now, so that nothing of the GPU's memory is as it will be. */
    boolean keepsBack() {
        return keepsBack;
    }

    /** How often which way was taken so far. */
    Counts counts() {
        return new Counts(replayed, captured, oneByOne);
    }

    /** Uses no graphs until told otherwise; for measurements of single launches. */
    void pause(boolean wanted) {
        flush();
        paused = wanted;
    }

    /** Takes a launch. */
    void add(Launch launch) {
        if (keepsBack) {
            keptBack.add(launch);
        } else {
            target.start(launch);
        }
    }

    /** Starts what is kept back; to be called before the host waits for results or hands memory to the driver. */
    void flush() {
        if (!keptBack.isEmpty()) {
            wasRead = true;
            startAll();
        }
    }

    private void startAll() {
        keptBack.forEach(target::start);
        keptBack.clear();
        target.started();
    }

    /** As {@link io.mor.api.backend.Backend#repeated}. */
    void repeated(Object key, Runnable work) {
        if (!enabled || paused || keepsBack) {
            work.run();
            return;
        }
        keepsBack = true;
        wasRead = false;
        boolean ended = false;
        try {
            work.run();
            ended = true;
        } finally {
            keepsBack = false;
            if (!ended || wasRead) {
                startAll();
            }
        }
        if (wasRead) {
            oneByOne++;
            forget(key);
            warnOfReads(key);
        } else {
            readsInARow.remove(key);
            play(key);
        }
    }

    private void play(Object key) {
        List<Launch> launches = List.copyOf(keptBack);
        Tape tape = tapes.computeIfAbsent(key, any -> new Tape());
        Optional<List<Integer>> changed = changed(tape.launches, launches);
        boolean alike = changed.isPresent() && changed.get().size() <= Math.max(FEW, launches.size() / 4);
        if (alike && !launches.isEmpty()) {
            prepare(tape, launches, changed.get());
        } else {
            tape.close();
        }
        tape.launches = launches;
        if (tape.graph.isPresent()) {
            keptBack.clear();
            tape.graph.get().start();
            target.started();
            replayed++;
        } else {
            startAll();
            oneByOne++;
        }
        if (tapes.size() > TAPES) {
            forget(tapes.keySet().iterator().next());
        }
    }

    /** Which launches have other arguments; empty if they are not the same launches. */
    private static Optional<List<Integer>> changed(List<Launch> before, List<Launch> now) {
        if (before.size() != now.size()) {
            return Optional.empty();
        }
        List<Integer> changed = new ArrayList<>();
        for (int i = 0; i < now.size(); i++) {
            if (!now.get(i).fitsInto(before.get(i))) {
                return Optional.empty();
            }
            if (!now.get(i).equals(before.get(i))) {
                changed.add(i);
            }
        }
        return Optional.of(changed);
    }

    /** Makes the tape's graph one of these launches, if the driver can. */
    private void prepare(Tape tape, List<Launch> launches, List<Integer> changed) {
        try {
            if (tape.graph.isEmpty()) {
                tape.graph = Optional.of(target.capture(launches));
                captured++;
            } else {
                Graph graph = tape.graph.get();
                changed.forEach(index -> graph.replace(index, (Launch.Kernel) launches.get(index)));
            }
        } catch (RuntimeException e) {
            tape.close();
            enabled = false;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "a step could not be captured as a CUDA graph (" + e.getMessage() + "), so its " + launches.size()
                            + " kernels are launched one by one, which is slower for small models; results are the same. backend.graphs: false does so from the start");
        }
    }

    private void forget(Object key) {
        Tape tape = tapes.remove(key);
        if (tape != null) {
            tape.close();
        }
    }

    private void warnOfReads(Object key) {
        int runs = readsInARow.merge(key, 1, Integer::sum); // a first run may measure something
        if (runs == READS_BEFORE_WARNING && !warned) {
            warned = true;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "within '" + key
                            + "' something reads values of the GPU, so the host waits in every step and the step is not replayed as a CUDA graph; a router, block or selector that passes tensors on instead of reading them is faster");
        }
    }

    /** Forgets all graphs. */
    @Override
    public void close() {
        tapes.values().forEach(Tape::close);
        tapes.clear();
    }
}
