package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Tensor;

/** A backend around another that counts the multiply-adds of matrix products. */
final class MultiplyAddCounter extends InterceptedBackend {

    private long multiplyAdds;

    /** Around a backend, which it owns. */
    MultiplyAddCounter(Backend delegate) {
        super(delegate);
    }

    long multiplyAdds() {
        return multiplyAdds;
    }

    void reset() {
        multiplyAdds = 0;
    }

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        multiplyAdds += (long) out.rows() * out.columns() * (transposeA ? a.rows() : a.columns());
        super.matmul(out, a, transposeA, b, transposeB, accumulate);
    }

    @Override
    void around(KernelCall call, Runnable kernel) {
        kernel.run();
    }
}
