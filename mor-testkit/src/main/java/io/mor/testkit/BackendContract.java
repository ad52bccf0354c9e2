package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * What every backend promises: extend it, say how the backend is made, and all kernels are tested against formulas, against the reference
 * backend, and for counted extents, row independence (if {@linkplain Backend#rowIndependent() promised}), determinism and memory out of bounds. In double precision every backward
 * kernel is compared with central differences. Tier-2 kernels are tested whether overridden or not.
 *
 * <p>Operands hold the same numbers on both backends, exact in the tested precision. Extra rows hold NaN and indices out of bounds,
 * operands are mostly views with guard rows beside them.
 */
public abstract class BackendContract
        implements MemoryContract,
                ElementwiseKernelContract,
                RowKernelContract,
                GatherKernelContract,
                SelectionKernelContract,
                LayerKernelContract,
                TogetherKernelContract,
                AttentionKernelContract,
                EntryTableContract,
                OptimizerKernelContract {

    private KernelBench bench;

    /** For subclasses. */
    protected BackendContract() {}

    /** A new backend under test. */
    protected abstract Backend createBackend();

    /** A new backend to compare with: the extension {@code reference} found by the service loader. */
    protected Backend createReference() {
        return ReferenceBackends.create(getClass().getClassLoader());
    }

    /** The largest difference, relative to the larger of 1 and the exact value, in a result whose longest sum has so many terms. */
    protected double tolerance(int terms) {
        return tolerance(bench.subject().activationPrecision(KernelCheck.WIDE), terms);
    }

    static double tolerance(Precision precision, int terms) {
        return switch (precision) {
            case FLOAT64 -> 0x1p-52 * (16 + terms);
            case FLOAT32 -> 0x1p-23 * (16 + terms);
            case BFLOAT16 -> 0x1p-8 * 4 + 0x1p-23 * terms; // stored in bfloat16, summed in single precision
        };
    }

    /** Whether the backend promises the same bits for the same call. */
    protected boolean deterministic() {
        return true;
    }

    @BeforeEach
    void createBackends() {
        bench = new KernelBench(createBackend(), createReference(), this::tolerance, deterministic());
    }

    @AfterEach
    void closeBackends() {
        bench.close();
    }

    @Override
    public final KernelBench bench() {
        return bench;
    }
}
