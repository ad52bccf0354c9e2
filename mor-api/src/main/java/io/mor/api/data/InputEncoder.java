package io.mor.api.data;

import io.mor.api.plugin.Stability;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;

/**
 * What turns inputs into rows: token ids through an embedding, or image patches, or audio frames. Thread safety: immutable.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface InputEncoder extends Stateful {

    /**
     * Rows for inputs.
     *
     * @param ids one id per row, {@code [rows]}
     * @return {@code [rows, hidden]}
     */
    Tensor encode(CallContext context, TokenBatch batch, IntTensor ids);
}
