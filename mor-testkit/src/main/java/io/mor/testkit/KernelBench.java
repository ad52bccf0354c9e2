package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;

/** The backend under test beside the reference backend, and what is promised of it. */
public final class KernelBench implements AutoCloseable {

    private final Backend subject;
    private final Backend reference;
    private final IntToDoubleFunction tolerance;
    private final boolean deterministic;

    /**
     * @param tolerance the subject's relative tolerance for sums of so many terms
     * @param deterministic whether the same call is promised to give the same bits
     */
    KernelBench(Backend subject, Backend reference, IntToDoubleFunction tolerance, boolean deterministic) {
        this.subject = subject;
        this.reference = reference;
        this.tolerance = tolerance;
        this.deterministic = deterministic;
    }

    /** The backend under test. */
    public Backend subject() {
        return subject;
    }

    /** Another backend, which is right. */
    public Backend reference() {
        return reference;
    }

    boolean rowIndependent() {
        return subject.rowIndependent();
    }

    boolean deterministic() {
        return deterministic;
    }

    KernelRun.Tolerance tolerance(Backend backend) {
        return backend == subject
                ? tolerance::applyAsDouble
                : terms -> BackendContract.tolerance(Precision.FLOAT64, terms);
    }

    /** A check of one kernel. */
    public KernelCheck kernel() {
        return new KernelCheck(this);
    }

    /** A check of a backward kernel by central differences; runs on the subject if it computes in double precision, else on the reference. */
    public void gradient(Consumer<GradientCheck> check) {
        try (GradientCheck gradient =
                new GradientCheck(subject.precision() == Precision.FLOAT64 ? subject : reference)) {
            check.accept(gradient);
        }
    }

    @Override
    public void close() {
        try {
            subject.close();
        } finally {
            reference.close();
        }
    }
}
