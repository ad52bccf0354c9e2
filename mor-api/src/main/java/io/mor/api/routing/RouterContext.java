package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.CallContext;
import java.util.OptionalInt;

/**
 * A router's call context: what it needs besides.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface RouterContext extends CallContext {

    /**
     * The rule that turns scores into a selection in this call: full-sequence top-k in training and full-sequence evaluation, the configured
     * causal selector in {@link io.mor.api.tensor.Phase#CAUSAL}. In training it also lets the causal selector observe.
     *
     * @param request the scores of the rows of one recursion
     */
    Selection select(SelectionRequest request);

    /** The depth that every token is to get in this call, if the causal selector fixes one; else empty. */
    OptionalInt fixedDepth();
}
