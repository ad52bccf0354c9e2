package io.mor.runtime.generate;

import io.mor.api.backend.Backend;
import io.mor.api.data.Tokenizer;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.UsageException;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.DepthCounter;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.PagedKvStorage;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Weights;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * Generates from a model: takes prompts at once, then decodes token by token through the paged key-value cache, several sequences side by side
 * (spec 4.5). A result depends on its request alone: neither on the other sequences, nor on how the prompt was cut into calls.
 *
 * <p>The host reads the device once after each step: chosen ids or logits, depths, and how many entries the cache took.
 *
 * <p>Lifetime: owns its key-value storage and its memory; the weights and the tokenizer must outlive it. Thread safety: one thread.
 */
public final class Generator implements AutoCloseable {

    private final MorModel model;
    private final Weights weights;
    private final Backend backend;
    private final Optional<Tokenizer> tokenizer;
    private final GeneratorOptions options;
    private final boolean skipsPrompt;
    private final MemoryPool pool;
    private final PagedKvStorage storage;

    /**
     * A generator.
     *
     * @param tokenizer gives the results text; without one there are ids only
     * @throws UsageException if the tokenizer has ids that the model has not, or the router needs a causal selector and there is none
     */
    public Generator(MorModel model, Weights weights, Optional<Tokenizer> tokenizer, GeneratorOptions options) {
        if (tokenizer.isPresent()
                && tokenizer.get().vocabularySize() > model.shape().vocabulary()) {
            throw new UsageException("the tokenizer has " + tokenizer.get().vocabularySize() + " ids, the model only "
                    + model.shape().vocabulary() + "; use the tokenizer that the model was trained with");
        }
        if (model.router().needsSelector() && model.selector().isEmpty()) {
            throw new UsageException(
                    "selector: the router's own selection sees later tokens, so generation needs a causal selector, and none is configured; "
                            + "logit-threshold and ema-cutoff need no other training");
        }
        this.model = model;
        this.weights = weights;
        this.backend = weights.backend();
        this.tokenizer = tokenizer;
        this.options = options;
        this.skipsPrompt = options.promptSkip() && model.canSkipPrompt();
        this.pool = new MemoryPool(backend);
        this.storage = new PagedKvStorage(
                backend, model, options.maxSequences(), model.shape().context());
    }

    /** Whether prefills leave out recursions that nobody reads (spec 4.1). */
    public boolean skipsPrompt() {
        return skipsPrompt;
    }

    /** Generates from one request. As {@link #generate(List, GenerationListener)}. */
    public GenerationResult generate(GenerationRequest request) {
        return generate(List.of(request), GenerationListener.NONE).getFirst();
    }

    /**
     * Generates from several requests. More than the generator holds wait until a sequence ends.
     *
     * @return the results in the order of the requests, without those whose failure the listener took
     * @throws UsageException before anything is generated, if a request does not fit the model
     * @throws GenerationException if the model gives numbers that are none
     */
    public List<GenerationResult> generate(List<GenerationRequest> requests, GenerationListener listener) {
        List<RunningSequence> sequences = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            String where = requests.size() == 1 ? "" : "request " + (i + 1) + " of " + requests.size() + ": ";
            sequences.add(sequence(i, requests.get(i), where));
        }
        GenerationResult[] results = new GenerationResult[requests.size()];
        GenerationListener collecting = new GenerationListener() {
            @Override
            public void token(GeneratedToken token) {
                listener.token(token);
            }

            @Override
            public void finished(int sequence, GenerationResult result) {
                results[sequence] = result;
                listener.finished(sequence, result);
            }

            @Override
            public void failed(int sequence, GenerationException failure) {
                listener.failed(sequence, failure);
            }

            @Override
            public boolean isCancelled(int sequence) {
                return listener.isCancelled(sequence);
            }
        };
        Iterator<List<RunningSequence>> once = List.of(sequences).iterator();
        serve(
                (idle, waiting) -> {
                    boolean more = once.hasNext();
                    once.forEachRemaining(waiting::addAll);
                    return more;
                },
                collecting,
                new ReentrantLock());
        return Stream.of(results).filter(Objects::nonNull).toList();
    }

    /** Where sequences come from while others run. */
    @FunctionalInterface
    interface Intake {
        /**
         * Adds the sequences that have come. Asked before every step.
         *
         * @param idle whether there is nothing to do, so that it may wait for one
         * @return false when no more will come
         */
        boolean take(boolean idle, Deque<RunningSequence> waiting);
    }

    /**
     * Generates for sequences as they come, side by side, until no more will come and all have ended. Those that find no room wait in the order
     * in which they came.
     *
     * @param device held during every step and not between steps
     */
    void serve(Intake intake, GenerationListener listener, Lock device) {
        Deque<RunningSequence> waiting = new ArrayDeque<>();
        List<RunningSequence> running = new ArrayList<>();
        try {
            while (intake.take(waiting.isEmpty() && running.isEmpty(), waiting)
                    || !waiting.isEmpty()
                    || !running.isEmpty()) {
                device.lock();
                try {
                    step(waiting, running, listener);
                } finally {
                    device.unlock();
                }
            }
        } finally {
            running.forEach(sequence -> storage.release(sequence.slot())); // only where an exception passes
        }
    }

    private void step(Deque<RunningSequence> waiting, List<RunningSequence> running, GenerationListener listener) {
        admit(waiting, running, listener);
        running.forEach(sequence -> cancelIfAsked(sequence, listener));
        finishEnded(running, listener);
        if (!running.isEmpty()) {
            decode(running, listener);
            finishEnded(running, listener);
        }
    }

    /**
     * A sequence for a request. Any thread.
     *
     * @param where begins the message if the request does not fit the model
     * @throws UsageException if it does not
     */
    RunningSequence sequence(int number, GenerationRequest request, String where) {
        int vocabulary = model.shape().vocabulary();
        int context = model.shape().context();
        List<Integer> prompt = request.prompt();
        if (prompt.isEmpty()) {
            int start = tokenizer
                    .map(Tokenizer::endOfText)
                    .filter(end -> end.isPresent())
                    .orElseThrow(
                            () -> new UsageException(
                                    where
                                            + "the prompt has no tokens, and no tokenizer has an end-of-text id to begin a document with; give at least one token"))
                    .getAsInt();
            prompt = List.of(start);
        }
        for (int i = 0; i < prompt.size(); i++) {
            if (prompt.get(i) < 0 || prompt.get(i) >= vocabulary) {
                throw new UsageException(where + "token " + (i + 1) + " of the prompt is id " + prompt.get(i)
                        + ", but the model's ids are 0 to " + (vocabulary - 1)
                        + "; encode the prompt with the model's own tokenizer");
            }
        }
        if (prompt.size() > context) {
            throw new UsageException(where + "the prompt has " + prompt.size() + " tokens, the model's context "
                    + context + "; leave out at least " + (prompt.size() - context));
        }
        int fitting = context - prompt.size() + 1; // the last new token is never fed, so it needs no position
        if (request.maxTokens() > fitting) {
            throw new UsageException(where + "a prompt of " + prompt.size() + " tokens and " + request.maxTokens()
                    + " new ones do not fit the model's context of " + context + "; ask for at most " + fitting
                    + " (max-tokens 0 takes what fits), or shorten the prompt by " + (request.maxTokens() - fitting));
        }
        for (int stop : request.stopIds()) {
            if (stop < 0 || stop >= vocabulary) {
                throw new UsageException(
                        where + "stop id " + stop + " can never come: the model's ids are 0 to " + (vocabulary - 1));
            }
        }
        if (!request.stopStrings().isEmpty() && tokenizer.isEmpty()) {
            throw new UsageException(where + "stop strings " + request.stopStrings()
                    + " need a tokenizer, and there is none; use stop ids");
        }
        return new RunningSequence(
                number, request, prompt, request.maxTokens() == 0 ? fitting : request.maxTokens(), tokenizer);
    }

    private static void cancelIfAsked(RunningSequence sequence, GenerationListener listener) {
        if (!sequence.hasEnded() && listener.isCancelled(sequence.number())) {
            sequence.cancel();
        }
    }

    private void finishEnded(List<RunningSequence> running, GenerationListener listener) {
        for (RunningSequence sequence : List.copyOf(running)) {
            if (sequence.failure().isPresent()) {
                running.remove(sequence);
                storage.release(sequence.slot());
                listener.failed(sequence.number(), sequence.failure().get());
            } else if (sequence.hasEnded()) {
                GenerationResult result =
                        sequence.result(storage.entries(sequence.slot()), storage.bytes(sequence.slot()));
                running.remove(sequence);
                storage.release(sequence.slot());
                listener.finished(sequence.number(), result);
            }
        }
    }

    /** Gives free slots to waiting sequences, takes their prompts and draws their first tokens. */
    private void admit(Deque<RunningSequence> waiting, List<RunningSequence> running, GenerationListener listener) {
        List<RunningSequence> fresh = new ArrayList<>();
        while (!waiting.isEmpty() && storage.freeSlots() > 0) {
            RunningSequence sequence = waiting.pop();
            cancelIfAsked(sequence, listener);
            if (sequence.hasEnded()) {
                listener.finished(sequence.number(), sequence.result(0, 0));
                continue;
            }
            sequence.admit(storage.open());
            fresh.add(sequence);
            running.add(sequence);
        }
        if (!fresh.isEmpty()) {
            fresh.sort(Comparator.comparingInt(RunningSequence::slot));
            prefill(fresh, listener);
            pool.trim(); // the next prefill has other shapes
            running.sort(Comparator.comparingInt(RunningSequence::slot));
        }
    }

    /** What one call of the model is given: rows sorted by slot and position. */
    private static final class Feed {
        private final List<TokenRow> rows = new ArrayList<>();
        private final List<Integer> ids = new ArrayList<>();
        private final List<RunningSequence> owners = new ArrayList<>(); // of each row
        private final List<Integer> lengths = new ArrayList<>(); // of each sequence in the call
        private final List<Integer> drawnRows = new ArrayList<>(); // whose logits are wanted

        void add(RunningSequence sequence, int position, int id, boolean drawn) {
            if (owners.isEmpty() || owners.getLast() != sequence) {
                lengths.add(position + 1);
            } else {
                lengths.set(lengths.size() - 1, position + 1);
            }
            if (drawn) {
                drawnRows.add(rows.size());
            }
            rows.add(new TokenRow(sequence.slot(), position, 1));
            ids.add(id);
            owners.add(sequence);
        }

        int size() {
            return rows.size();
        }
    }

    private void prefill(List<RunningSequence> fresh, GenerationListener listener) {
        Feed feed = new Feed();
        for (RunningSequence sequence : fresh) {
            for (int position = 0; position < sequence.prompt().size(); position++) {
                boolean last = position == sequence.prompt().size() - 1;
                feed.add(sequence, position, sequence.prompt().get(position), last);
                if (feed.size() == options.prefillRows()) {
                    run(feed, true, listener);
                    feed = new Feed();
                }
            }
        }
        if (feed.size() > 0) {
            run(feed, true, listener);
        }
    }

    private void decode(List<RunningSequence> running, GenerationListener listener) {
        Feed feed = new Feed();
        for (RunningSequence sequence : running) {
            feed.add(sequence, sequence.lastPosition(), sequence.lastId(), true);
        }
        run(feed, false, listener);
    }

    /** One call of the model, and for every row whose logits are wanted the next token of its sequence. */
    private void run(Feed feed, boolean prefill, GenerationListener listener) {
        reserve(feed);
        int[] depths;
        int[] next;
        try (Region region = pool.region()) {
            ModelCall call = model.call(region, Phase.CAUSAL, weights, CallProgress.none(0));
            DepthCounter counter = new DepthCounter(model, call, feed.size());
            AtomicReference<Optional<Drawn>> drawn = new AtomicReference<>(Optional.empty());
            Runnable work = () -> {
                Tensor rows = model.rows(
                        call,
                        TokenBatches.of(region, feed.rows, feed.lengths),
                        region.ints(ints(feed.ids)),
                        storage,
                        prefill && skipsPrompt ? Optional.of(mask(region, feed)) : Optional.empty(),
                        counter);
                if (!feed.drawnRows.isEmpty()) {
                    drawn.set(Optional.of(draw(call, rows, feed)));
                }
            };
            if (prefill) {
                work.run();
            } else {
                backend.repeated(
                        "decoding " + feed.size() + " sequences", work); // each token's calls are like the last one's
            }
            next = drawn.get().map(from -> choose(from, feed)).orElseGet(() -> new int[0]);
            depths = counter.read();
        }
        storage.synchronize();
        if (prefill) {
            for (int row = 0; row < feed.size(); row++) {
                feed.owners.get(row).promptDepth(depths[row]);
            }
        }
        for (int i = 0; i < next.length; i++) {
            int row = feed.drawnRows.get(i);
            RunningSequence sequence = feed.owners.get(row);
            if (sequence.failure().isPresent()) {
                continue;
            }
            if (prefill) {
                sequence.prefilled();
            }
            listener.token(sequence.accept(next[i], depths[row]));
        }
    }

    private void reserve(Feed feed) {
        Map<Integer, Integer> rowsOfSlot = new LinkedHashMap<>();
        feed.rows.forEach(row -> rowsOfSlot.merge(row.sequence(), 1, Integer::sum));
        rowsOfSlot.forEach(storage::reserve);
    }

    /** 1 for the rows whose logits are wanted: {@code [rows, 1]}. */
    private Tensor mask(Region region, Feed feed) {
        float[] values = new float[feed.size()];
        feed.drawnRows.forEach(row -> values[row] = 1);
        Tensor mask = region.allocate(feed.size(), 1);
        backend.write(mask, values);
        return mask;
    }

    /**
     * What the next ids are chosen by, on the device.
     *
     * @param logits {@code [drawn rows, vocabulary]}
     * @param best the largest logit's id, if any sequence is greedy
     * @param sums of the logits, which show whether all are numbers
     */
    private record Drawn(Tensor logits, Optional<IntTensor> best, Tensor sums) {}

    /** The sequences whose rows are drawn from. */
    private static List<RunningSequence> drawnFrom(Feed feed) {
        return feed.drawnRows.stream().map(feed.owners::get).toList();
    }

    /** Only the rows that are drawn from meet the head. */
    private Drawn draw(ModelCall call, Tensor rows, Feed feed) {
        int count = feed.drawnRows.size();
        Tensor last = count == feed.size()
                ? rows
                : call.ops().gatherRows(rows, call.region().ints(ints(feed.drawnRows)), Extent.exact(count));
        Tensor logits = model.logits(call, last); // [count, vocabulary]
        boolean anyGreedy = drawnFrom(feed).stream().anyMatch(RunningSequence::isGreedy);
        return new Drawn(
                logits,
                anyGreedy ? Optional.of(call.ops().argMax(logits)) : Optional.empty(),
                call.ops().rowSum(logits));
    }

    /** The next ids of the sequences whose rows are drawn from. */
    private int[] choose(Drawn drawn, Feed feed) {
        int count = feed.drawnRows.size();
        Tensor logits = drawn.logits();
        List<RunningSequence> sequences = drawnFrom(feed);
        boolean allGreedy = sequences.stream().allMatch(RunningSequence::isGreedy);
        int[] best = drawn.best().map(backend::readInts).orElseGet(() -> new int[count]);
        double[] sums = backend.readDoubles(drawn.sums());
        double[] values = allGreedy ? new double[0] : backend.readDoubles(logits);
        int vocabulary = logits.columns();
        int[] next = new int[count];
        for (int i = 0; i < count; i++) {
            RunningSequence sequence = sequences.get(i);
            if (!Double.isFinite(sums[i])) {
                sequence.fail(new GenerationException("the logits after position "
                        + feed.rows.get(feed.drawnRows.get(i)).position() + " of request " + (sequence.number() + 1)
                        + " are not finite: the weights are broken or overflow " + backend.precision()
                        + "; take an earlier checkpoint or a backend of higher precision"));
                continue;
            }
            next[i] = sequence.isGreedy()
                    ? best[i]
                    : sequence.sample(Arrays.copyOfRange(values, i * vocabulary, (i + 1) * vocabulary));
        }
        return next;
    }

    private static int[] ints(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() {
        storage.close();
        pool.close();
    }
}
