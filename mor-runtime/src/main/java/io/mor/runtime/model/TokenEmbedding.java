package io.mor.runtime.model;

import io.mor.api.data.InputEncoder;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import java.util.List;

/** Token ids to rows by a table: {@code embed.weight [vocabulary, hidden]}. */
public final class TokenEmbedding implements InputEncoder {

    private final Parameter table;

    /** An embedding for a shape. */
    public TokenEmbedding(ModelShape shape) {
        this.table = Parameter.weight("embed.weight", shape.vocabulary(), shape.hidden());
    }

    /** The table; also the head of a tied model. */
    public Parameter table() {
        return table;
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(table);
    }

    @Override
    public Tensor encode(CallContext context, TokenBatch batch, IntTensor ids) {
        return context.ops().gatherRows(context.value(table), ids, batch.extent());
    }
}
