package io.mor.runtime.experiment;

import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.MorException;
import io.mor.runtime.data.Batch;
import io.mor.runtime.data.SequentialRows;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What training and loaded runs share. */
final class Models {

  private Models() {}

  /** Closes in reverse order; the first failure is thrown when all are closed. */
  static void closeAll(List<AutoCloseable> owned) {
    RuntimeException failure = null;
    for (AutoCloseable resource : owned.reversed()) {
      try {
        resource.close();
      } catch (Exception e) {
        if (failure == null) {
          failure = e instanceof RuntimeException unchecked ? unchecked : new MorException("closing failed: " + e.getMessage(), e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    owned.clear();
    if (failure != null) {
      throw failure;
    }
  }

  /** Mean losses over validation rows: with causal selection, and beside it with the selection of training. */
  static Map<String, Double> validationLosses(MorModel model, Weights weights, SequentialRows rows, int batches) {
    Map<String, Double> losses = new LinkedHashMap<>();
    losses.put("validation-loss", loss(model, weights, rows, batches, Phase.CAUSAL));
    if (model.router().needsSelector()) {
      losses.put("validation-loss-full-sequence", loss(model, weights, rows, batches, Phase.FULL_SEQUENCE_EVALUATION));
    }
    return losses;
  }

  private static double loss(MorModel model, Weights weights, SequentialRows rows, int batches, Phase phase) {
    double sum = 0;
    long tokens = 0;
    long limit = batches == 0 ? rows.rowCount() : Math.min(rows.rowCount(), (long) batches * rows.rows());
    try (MemoryPool pool = new MemoryPool(weights.backend())) {
      for (long first = 0; first < limit; first += rows.rows()) {
        Batch batch = rows.rows(first, (int) Math.min(rows.rows(), limit - first));
        try (Region region = pool.region()) {
          ModelCall call = model.call(region, phase, weights, CallProgress.none(0));
          TokenBatch sequences = TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context()));
          Tensor hidden = model.rows(call, sequences, region.ints(batch.inputs()), model.stepStorage());
          Tensor mean = call.ops().mean(call.ops().headCrossEntropy(hidden, weights.value(model.head()), region.ints(batch.targets())));
          sum += weights.backend().readDoubles(mean)[0] * batch.inputs().length;
          tokens += batch.inputs().length;
        }
      }
    }
    return sum / tokens;
  }
}
