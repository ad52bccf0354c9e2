package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.testkit.BackendContract;
import io.mor.testkit.Batch;
import io.mor.testkit.Operand;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The fast mode, whose matrix products may depend on the number of rows. Needs a GPU and libcublasLt. */
@RequiresGpu
class CudaFastModeTest extends BackendContract {

    /** Keeps the device's context, which every test would otherwise make anew. */
    private static CudaBackend keeper;

    @BeforeAll
    static void keepTheContext() {
        keeper = Gpu.open(CudaMode.INVARIANT);
    }

    @AfterAll
    static void letTheContextGo() {
        keeper.close();
    }

    @Override
    protected Backend createBackend() {
        return Gpu.open(CudaMode.FAST);
    }

    @Test
    void rowIndependenceIsNotPromised() {
        assertFalse(backend().rowIndependent());
    }

    @Test
    void theDescriptionSaysWhichMode() {
        assertTrue(backend().description().contains("fast"), backend().description());
    }

    @Test
    void largeProductsAreDeterministicAndFullySinglePrecision() {
        for (boolean transposeA : new boolean[] {false, true}) {
            for (boolean transposeB : new boolean[] {false, true}) {
                bench().kernel()
                        .columns(257, 512)
                        .batches(Batch.exact(1))
                        .wholeBatch()
                        .bothWays()
                        .check(run -> {
                            int n = run.columns();
                            Operand a = transposeA ? run.matrix("a", 1024, 384) : run.matrix("a", 384, 1024);
                            Operand b = transposeB ? run.matrix("b", n, 1024) : run.matrix("b", 1024, n);
                            Operand out = run.matrix("out", 384, n);
                            run.backend()
                                    .matmul(
                                            out.tensor(),
                                            a.tensor(),
                                            transposeA,
                                            b.tensor(),
                                            transposeB,
                                            run.accumulate());
                            out.record(1024); // TF32 would be off by 30 times that: its operands have 10 bits
                        });
            }
        }
    }
}
