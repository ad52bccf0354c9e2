package io.mor.metrics.mlflow;

import io.mor.api.metric.MetricSink;
import jakarta.inject.Inject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowClientException;

/**
 * Figures to an MLflow tracking server: a run of mor is a run there, its config the parameters, its figures the metrics by step. The id of the run there
 * is kept in the run folder, so that a resumed run goes on in it; steps that were lost and are done again are sent again, with the same values.
 *
 * <p>Figures are gathered and sent many at a time. A server that cannot be reached, or refuses, is an {@link IOException}: the run says so once and goes
 * on without it. One thread.
 */
public final class MlflowSink implements MetricSink {

    /** Name of the file in the run folder that holds the id of the run on the server. */
    static final String RUN_FILE = "mlflow-run.txt";

    /** The most that the server takes in one request. */
    private static final int MOST_PARAMETERS = 100;

    private static final int MOST_METRICS = 1000;
    private static final int LONGEST_VALUE = 500;

    /** Figures are sent when so many have come, and at the end. */
    private static final int SEND_AT = 200;

    private final MlflowConfig config;
    private final List<Metric> waiting = new ArrayList<>();
    private Optional<Session> session = Optional.empty();

    private record Session(MlflowClient client, String run) {}

    /** A sink; speaks to nobody before a run begins. */
    @Inject
    public MlflowSink(MlflowConfig config) {
        this.config = Objects.requireNonNull(config, "config is null");
    }

    @Override
    public void begin(Run run) throws IOException {
        Path file = run.folder().resolve(RUN_FILE);
        MlflowClient client = new MlflowClient(config.trackingUri());
        try {
            if (run.firstStep() > 0 && Files.exists(file)) {
                session = Optional.of(new Session(client, Files.readString(file).strip()));
                return;
            }
            String experiment = client.getExperimentByName(config.experiment())
                    .map(found -> found.getExperimentId())
                    .orElseGet(() -> client.createExperiment(config.experiment()));
            RunInfo made = client.createRun(experiment);
            session = Optional.of(new Session(client, made.getRunId()));
            client.setTag(made.getRunId(), "mlflow.runName", run.name());
            sendParameters(client, made.getRunId(), run.config());
            Files.writeString(file, made.getRunId() + "\n");
        } catch (MlflowClientException e) {
            throw failure(e);
        }
    }

    private static void sendParameters(MlflowClient client, String run, Map<String, String> config) {
        List<Param> batch = new ArrayList<>();
        for (Map.Entry<String, String> entry : config.entrySet()) {
            String value = entry.getValue();
            batch.add(Param.newBuilder()
                    .setKey(name(entry.getKey()))
                    .setValue(value.length() > LONGEST_VALUE ? value.substring(0, LONGEST_VALUE) : value)
                    .build());
            if (batch.size() == MOST_PARAMETERS) {
                client.logBatch(run, List.<Metric>of(), batch, List.<RunTag>of());
                batch.clear();
            }
        }
        if (!batch.isEmpty()) {
            client.logBatch(run, List.<Metric>of(), batch, List.<RunTag>of());
        }
    }

    /** Names on the server have letters, digits, '_', '-', '.', ' ' and '/'. */
    private static String name(String key) {
        return key.replaceAll("\\[(\\d+)]", ".$1").replaceAll("[^A-Za-z0-9_\\-. /]", "_");
    }

    @Override
    public void record(long step, Map<String, Double> values) throws IOException {
        if (session.isEmpty()) {
            throw new IllegalStateException("a metric sink begins before it records");
        }
        long now = System.currentTimeMillis();
        values.forEach((key, value) -> {
            if (Double.isFinite(value)) {
                waiting.add(Metric.newBuilder()
                        .setKey(name(key))
                        .setValue(value)
                        .setTimestamp(now)
                        .setStep(step)
                        .build());
            }
        });
        if (waiting.size() >= SEND_AT) {
            send();
        }
    }

    private void send() throws IOException {
        Session open = session.orElseThrow();
        try {
            for (int from = 0; from < waiting.size(); from += MOST_METRICS) {
                List<Metric> batch = waiting.subList(from, Math.min(waiting.size(), from + MOST_METRICS));
                open.client().logBatch(open.run(), batch, List.<Param>of(), List.<RunTag>of());
            }
            waiting.clear();
        } catch (MlflowClientException e) {
            throw failure(e);
        }
    }

    private IOException failure(MlflowClientException e) {
        return new IOException(
                "the MLflow server " + config.trackingUri() + " cannot be reached or refuses: " + e.getMessage()
                        + "; check metrics.sinks and that the server runs",
                e);
    }

    @Override
    public void close() throws IOException {
        if (session.isEmpty()) {
            return;
        }
        Session open = session.get();
        try {
            send();
            open.client().setTerminated(open.run(), RunStatus.FINISHED);
        } catch (MlflowClientException e) {
            throw failure(e);
        } finally {
            session = Optional.empty();
            waiting.clear();
            open.client().close();
        }
    }
}
