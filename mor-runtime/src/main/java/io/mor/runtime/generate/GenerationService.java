package io.mor.runtime.generate;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import java.util.Deque;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import java.util.function.Function;

/**
 * Generates for many callers at once. Requests are decoded side by side in one batch: one that comes while others run joins at the next step, one
 * that ends leaves room for the next, and those that find no room wait in the order in which they came. A result depends on its request alone, so
 * on a CPU it has the same bits as if it were alone.
 *
 * <p>Threads: any number may call. One daemon thread works on the batch; {@link #start} takes one more for each stream until it ends. A listener
 * that is slow delays its own caller and nobody else. After {@link #close} none of these threads is left.
 *
 * <p>Lifetime: owns its generator and with it the memory of keys and values; what it generates with must outlive it.
 */
public final class GenerationService implements AutoCloseable {

    private final Generator generator;
    private final Lock device;
    private final Runnable onClose;
    private final Thread worker;
    private final LinkedBlockingQueue<Optional<RunningSequence>> arrived = new LinkedBlockingQueue<>();
    private final Map<Integer, Caller> callers = new ConcurrentHashMap<>();
    private final Set<Thread> streams = ConcurrentHashMap.newKeySet();
    private final AtomicInteger numbers = new AtomicInteger();
    private final Dispatcher dispatcher = new Dispatcher();
    private final Object closing = new Object();
    private volatile boolean stopping;
    private boolean closed; // guarded by closing

    /**
     * A service.
     *
     * @param generator which it owns from now on
     * @param device is held during every step; whoever else works with the same backend holds it meanwhile
     * @param onClose called once when it is closed
     */
    public GenerationService(Generator generator, Lock device, Runnable onClose) {
        this.generator = generator;
        this.device = device;
        this.onClose = onClose;
        this.worker = new Thread(this::work, "mor generation");
        worker.setDaemon(true);
        worker.start();
    }

    /**
     * Generates and returns when done.
     *
     * @return the result; {@link Ending#CANCELLED} if this thread was interrupted, whose interrupt status is then set
     * @throws UsageException if the request does not fit the model
     * @throws GenerationException if the model's numbers are broken
     * @throws IllegalStateException if the service is closed, or is closed meanwhile
     */
    public GenerationResult generate(GenerationRequest request) {
        return generate(request, GenerationListener.NONE);
    }

    /**
     * Generates, streams tokens to a listener and returns when done. As {@link #generate(GenerationRequest)}.
     *
     * @param listener is called on this thread, with sequence 0; what it throws ends this generation alone
     */
    public GenerationResult generate(GenerationRequest request, GenerationListener listener) {
        return follow(submit(request), listener);
    }

    /**
     * Starts a generation and returns at once.
     *
     * @param listener is called on a thread of the stream's own, with sequence 0; what it throws ends this generation alone
     * @throws UsageException if the request does not fit the model
     * @throws IllegalStateException if the service is closed
     */
    public GenerationStream start(GenerationRequest request, GenerationListener listener) {
        Caller caller = submit(request);
        GenerationStream stream = new GenerationStream(caller::cancel);
        Thread thread = new Thread(
                () -> {
                    try {
                        stream.complete(() -> follow(caller, listener));
                    } finally {
                        streams.remove(Thread.currentThread());
                    }
                },
                "mor stream " + caller.number);
        thread.setDaemon(true);
        streams.add(thread);
        thread.start();
        return stream;
    }

    /**
     * What was done so far.
     *
     * @param steps in which running sequences got a token each
     * @param tokens new tokens
     * @param mostSideBySide the most sequences that got a token in one step
     */
    public record Figures(long steps, long tokens, int mostSideBySide) {

        /** Tokens of a step in the mean: how far callers shared the work; 0 before the first. */
        public double tokensPerStep() {
            return steps == 0 ? 0 : (double) tokens / steps;
        }
    }

    /** What was done so far. */
    public Figures figures() {
        return dispatcher.figures();
    }

    private Caller submit(GenerationRequest request) {
        Caller caller = new Caller(numbers.getAndIncrement());
        RunningSequence sequence = generator.sequence(caller.number, request, "");
        callers.put(caller.number, caller);
        arrived.add(Optional.of(sequence));
        if (stopping) { // it may have come after the worker had looked for the last time
            callers.remove(caller.number);
            throw closedFailure();
        }
        return caller;
    }

    private static GenerationResult follow(Caller caller, GenerationListener listener) {
        boolean interrupted = false;
        boolean ended = false;
        try {
            while (true) {
                if (!caller.cancelled && listener.isCancelled(0)) {
                    caller.cancel();
                }
                try {
                    switch (caller.next()) {
                        case Event.Nothing() -> {}
                        case Event.Token(GeneratedToken token) ->
                            listener.token(
                                    new GeneratedToken(0, token.index(), token.id(), token.text(), token.depth()));
                        case Event.Finished(GenerationResult result) -> {
                            ended = true;
                            listener.finished(0, result);
                            return result;
                        }
                        case Event.Failed(RuntimeException failure) -> {
                            ended = true;
                            throw failure;
                        }
                    }
                } catch (InterruptedException e) {
                    interrupted = true;
                    caller.cancel(); // its result comes with the next step
                }
            }
        } finally {
            if (!ended) {
                caller.cancel();
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    // ---- the worker's thread

    private void work() {
        try {
            while (!stopping) {
                try {
                    generator.serve(this::take, dispatcher, device);
                } catch (RuntimeException e) { // the step is lost, and who was in it; the next one begins anew
                    if (!stopping) {
                        failAll(new MorException("generation failed: " + e.getMessage(), e));
                    }
                }
            }
        } catch (Error e) {
            stopping = true;
            failAll(new MorException("generation failed for good, the service takes no more requests: " + e, e));
            throw e;
        } finally {
            failAll(closedFailure());
        }
    }

    private boolean take(boolean idle, Deque<RunningSequence> waiting) {
        dispatcher.stepped();
        Optional<RunningSequence> next =
                idle ? await() : Optional.ofNullable(arrived.poll()).flatMap(Function.identity());
        while (next.isPresent()) {
            waiting.add(next.get());
            next = Optional.ofNullable(arrived.poll()).flatMap(Function.identity());
        }
        if (stopping) {
            throw closedFailure(); // what is running is not wanted any more
        }
        return true;
    }

    private Optional<RunningSequence> await() {
        while (true) {
            try {
                return arrived.take();
            } catch (InterruptedException e) {
                // nobody but close ends this thread, and that says so in the queue
            }
        }
    }

    private void failAll(RuntimeException failure) {
        arrived.clear();
        for (Integer number : callers.keySet()) {
            tell(number, new Event.Failed(failure));
        }
    }

    private void tell(int number, Event last) {
        Caller caller = callers.remove(number);
        if (caller != null) {
            caller.events.add(last);
        }
    }

    private static IllegalStateException closedFailure() {
        return new IllegalStateException("the generation service is closed");
    }

    /** Passes on what the generator says, on the worker's thread. */
    private final class Dispatcher implements GenerationListener {
        private final Set<Integer> inThisStep = new HashSet<>();
        private Figures done = new Figures(0, 0, 0);

        @Override
        public synchronized void token(GeneratedToken token) {
            inThisStep.add(token.sequence());
            done = new Figures(done.steps, done.tokens + 1, Math.max(done.mostSideBySide, inThisStep.size()));
            Caller caller = callers.get(token.sequence());
            if (caller != null) {
                caller.events.add(new Event.Token(token));
            }
        }

        @Override
        public void finished(int sequence, GenerationResult result) {
            tell(sequence, new Event.Finished(result));
        }

        @Override
        public void failed(int sequence, GenerationException failure) {
            tell(sequence, new Event.Failed(failure));
        }

        @Override
        public boolean isCancelled(int sequence) {
            Caller caller = callers.get(sequence);
            return caller == null || caller.cancelled;
        }

        synchronized void stepped() {
            if (!inThisStep.isEmpty()) {
                done = new Figures(done.steps + 1, done.tokens, done.mostSideBySide);
                inThisStep.clear();
            }
        }

        synchronized Figures figures() {
            return done;
        }
    }

    /** What a caller is told. */
    private sealed interface Event {
        /** Nothing came for a while; time to ask whether it still wants to wait. */
        record Nothing() implements Event {}

        record Token(GeneratedToken token) implements Event {}

        record Finished(GenerationResult result) implements Event {}

        record Failed(RuntimeException failure) implements Event {}
    }

    /** One who waits for a result. */
    private static final class Caller {
        private final int number;
        private final LinkedBlockingQueue<Event> events = new LinkedBlockingQueue<>();
        private volatile boolean cancelled;

        Caller(int number) {
            this.number = number;
        }

        Event next() throws InterruptedException {
            Event event = events.poll(100, TimeUnit.MILLISECONDS);
            return event == null ? new Event.Nothing() : event;
        }

        void cancel() {
            cancelled = true;
        }
    }

    /**
     * Ends what is running, whose callers get an {@link IllegalStateException}, waits for the threads and frees the memory. Closing again does
     * nothing.
     *
     * @throws IllegalStateException if called by a listener of {@link #start}, whose thread would wait for itself
     */
    @Override
    public void close() {
        if (streams.contains(Thread.currentThread())) {
            throw new IllegalStateException(
                    "a listener cannot close the service that calls it; close it from another thread");
        }
        boolean interrupted = false;
        synchronized (closing) {
            if (!closed) {
                stopping = true;
                arrived.add(Optional.empty());
                interrupted = join(worker);
                for (Thread stream : streams) {
                    interrupted |= join(stream);
                }
                closed = true;
                device.lock();
                try {
                    generator.close();
                } finally {
                    device.unlock();
                }
                onClose.run();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static boolean join(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                return interrupted;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
    }
}
