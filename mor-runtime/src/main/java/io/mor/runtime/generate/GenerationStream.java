package io.mor.runtime.generate;

import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** A generation that goes on while its starter does other things. Thread safety: safe for concurrent use. */
public final class GenerationStream {

    private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();
    private final Runnable cancellation;

    GenerationStream(Runnable cancellation) {
        this.cancellation = cancellation;
    }

    void complete(Supplier<GenerationResult> generation) {
        try {
            result.complete(generation.get());
        } catch (RuntimeException | Error e) {
            result.completeExceptionally(e);
        }
    }

    /** Ends it at the next step, with {@link Ending#CANCELLED}, if it has not ended by then. */
    public void cancel() {
        cancellation.run();
    }

    /**
     * Its result when it has ended, after the listener has heard of it. Fails with what {@link GenerationService#generate(GenerationRequest)}
     * would throw, or what the listener threw.
     */
    public CompletableFuture<GenerationResult> result() {
        return result.copy();
    }
}
