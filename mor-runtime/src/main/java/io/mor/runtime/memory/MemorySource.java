package io.mor.runtime.memory;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.List;

/** Where the memory of regions comes from. One thread. */
interface MemorySource {

    /** The backend whose memory this is. */
    Backend backend();

    /** Memory for exactly {@code rows} rows, contents unspecified. */
    Tensor take(int rows, int columns, Precision precision);

    /** Memory for integers, contents unspecified. */
    IntTensor takeInts(int length);

    /** A region has ended: what it took, in the order in which it did. */
    void giveBack(List<Tensor> tensors, List<IntTensor> ints);
}
