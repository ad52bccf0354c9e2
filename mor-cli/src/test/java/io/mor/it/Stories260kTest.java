package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.tensor.Phase;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.testkit.AssertingKvStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A real pretrained Llama of 260,000 parameters, imported and run: proof that the layers are right. */
class Stories260kTest {

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void greedyIdsAndLogitsAreThoseOfTheReference(String backend) throws IOException {
        Path data = Path.of(System.getProperty("mor.project.root", ".."), "../shared/data/stories260K")
                .normalize();
        assumeTrue(
                Files.isRegularFile(data.resolve("stories260K.bin")),
                "skipped: the pretrained model is not at " + data);
        JsonNode reference = JsonMapper.shared().readTree(Files.readString(data.resolve("reference.json")));
        Path run = folder.resolve("stories");
        try (Mor mor = Watched.mor()) {
            mor.importLlama2c(data.resolve("stories260K.bin"), Optional.of(data.resolve("tok512.bin")), run);
            try (TrainedModel model = mor.load(run, config -> config.with("backend", backend), note -> {})) {
                List<Integer> expected = new ArrayList<>();
                reference.get("greedy_tokens").forEach(id -> expected.add(id.intValue()));
                assertEquals(expected, greedy(model, reference.get("logits_float64"), expected.size()));
            }
        }
    }

    /** Decodes token by token from BOS, comparing the logits at the positions that the reference has. */
    private static List<Integer> greedy(TrainedModel trained, JsonNode logitsAt, int count) {
        List<Integer> ids = new ArrayList<>(List.of(1));
        try (MemoryPool pool = new MemoryPool(trained.backend());
                AssertingKvStorage storage = AssertingKvStorage.paged(trained.backend(), trained.model(), 1, count)) {
            int slot = storage.open();
            for (int position = 0; ids.size() < count; position++) {
                storage.reserve(slot, 1);
                try (Region region = pool.region()) {
                    ModelCall call =
                            trained.model().call(region, Phase.CAUSAL, trained.weights(), CallProgress.none(0));
                    var rows = trained.model()
                            .rows(
                                    call,
                                    TokenBatches.of(region, List.of(new TokenRow(slot, position, 1)), List.of(1)),
                                    region.ints(ids.getLast()),
                                    storage);
                    double[] logits =
                            trained.backend().readDoubles(trained.model().logits(call, rows));
                    if (logitsAt.has(String.valueOf(position))) {
                        for (int i = 0; i < logits.length; i++) {
                            assertEquals(
                                    logitsAt.get(String.valueOf(position))
                                            .get(i)
                                            .doubleValue(),
                                    logits[i],
                                    1e-4,
                                    "logit " + i + " at position " + position);
                        }
                    }
                    int best = 0;
                    for (int i = 1; i < logits.length; i++) {
                        best = logits[i] > logits[best] ? i : best;
                    }
                    ids.add(best);
                }
                storage.synchronize();
            }
            storage.release(slot);
        }
        return ids;
    }
}
