package io.mor.backend.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * The threads of one backend: the caller and {@code threads - 1} daemons that spin for a moment after each job, since the next kernel
 * usually follows at once, and then park.
 *
 * <p>A job is a number of parts that do not depend on each other; threads take them in turn. What is computed never depends on which thread
 * takes a part, nor on how many threads there are.
 *
 * <p>Thread safety: {@link #run} is for one caller at a time.
 */
final class Workers implements AutoCloseable {

    /** Part {@code part} of a job; {@code thread} in {@code 0 .. threads()} tells whose scratch memory it may use. */
    @FunctionalInterface
    interface Part {
        void run(int thread, int part);
    }

    /** Rows, columns or elements {@code from .. to} of a kernel. */
    @FunctionalInterface
    interface Span {
        void run(int from, int to);
    }

    private static final long SPIN_NANOS = 50_000;
    private static final int PARTS_PER_THREAD = 4;

    private final int threads;
    private final Worker[] workers;
    private volatile Job current;
    private volatile boolean closed;

    Workers(int threads) {
        this.threads = threads;
        workers = new Worker[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker(i + 1);
            workers[i].start();
        }
    }

    int threads() {
        return threads;
    }

    /** Runs all parts and returns when they are done; an exception of a part is thrown here. */
    void run(int parts, Part part) {
        run(false, parts, part);
    }

    /** As {@link #run(int, Part)}, on the caller's thread alone if the whole job {@code isSmall}. */
    void run(boolean isSmall, int parts, Part part) {
        if (isSmall || parts <= 1 || threads == 1) {
            for (int i = 0; i < parts; i++) {
                part.run(0, i);
            }
            return;
        }
        Job job = new Job(parts, part);
        current = job;
        for (int i = 0; i < workers.length && i < parts - 1; i++) {
            if (workers[i].parked) {
                LockSupport.unpark(workers[i]);
            }
        }
        job.work(0);
        job.await();
        current = null;
    }

    /** Splits {@code 0 .. count} into spans of at least {@code grain}. The kernel's result must not depend on the split. */
    void split(int count, int grain, Span span) {
        int parts = (int) Math.min((long) threads * PARTS_PER_THREAD, count / Math.max(1, grain));
        if (parts <= 1 || threads == 1) {
            if (count > 0) {
                span.run(0, count);
            }
            return;
        }
        run(
                parts,
                (thread, part) ->
                        span.run((int) ((long) count * part / parts), (int) ((long) count * (part + 1) / parts)));
    }

    /** Stops the threads and waits until they are gone. */
    @Override
    public void close() {
        closed = true;
        boolean interrupted = false;
        for (Worker worker : workers) {
            LockSupport.unpark(worker);
            while (worker.isAlive()) {
                try {
                    worker.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static final class Job {

        private final int parts;
        private final Part part;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger done = new AtomicInteger();
        private final AtomicReference<Throwable> failure = new AtomicReference<>();

        Job(int parts, Part part) {
            this.parts = parts;
            this.part = part;
        }

        void work(int thread) {
            for (int i = next.getAndIncrement(); i < parts; i = next.getAndIncrement()) {
                try {
                    part.run(thread, i);
                } catch (Throwable t) { // handed to the caller, which throws it
                    failure.compareAndSet(null, t);
                }
                done.getAndIncrement();
            }
        }

        void await() {
            for (int spins = 0; done.get() < parts; spins++) {
                if (spins < 10_000) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield(); // the other thread may be waiting for this processor
                }
            }
            switch (failure.get()) {
                case null -> {}
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable t -> throw new IllegalStateException(t);
            }
        }
    }

    private final class Worker extends Thread {

        private final int index;
        private volatile boolean parked;

        Worker(int index) {
            super("mor-cpu-" + index);
            this.index = index;
            setDaemon(true);
        }

        @Override
        public void run() {
            Job last = null;
            while (!closed) {
                Job job = next(last);
                if (job != null) {
                    job.work(index);
                }
                last = job; // forgets what it held before it parks
            }
        }

        /** The next job, or null if it is worth looking whether the pool was closed. */
        private Job next(Job last) {
            long start = System.nanoTime();
            for (int spins = 1; ; spins++) {
                Job job = current;
                if (job != null && job != last) {
                    return job;
                }
                Thread.onSpinWait();
                if ((spins & 63) == 0 && System.nanoTime() - start > SPIN_NANOS) {
                    break;
                }
            }
            parked = true;
            Job job = current;
            if ((job == null || job == last) && !closed) {
                LockSupport.park(this);
            }
            parked = false;
            return null;
        }
    }
}
