package io.mor.metrics.mlflow;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.mor.api.metric.MetricSink;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MlflowSinkTest {

    /** A request that the server got. */
    private record Request(String path, String body) {}

    @TempDir
    private Path folder;

    private final List<Request> requests = new CopyOnWriteArrayList<>();
    private HttpServer server;
    private boolean experimentExists;
    private boolean refuses;

    @BeforeEach
    void startServer() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            String path = exchange.getRequestURI().getPath().replaceAll(".*/mlflow/", "");
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            requests.add(new Request(path, body));
            String answer = switch (path) {
                case "experiments/get-by-name" ->
                    experimentExists
                            ? "{\"experiment\":{\"experiment_id\":\"7\",\"name\":\"mor\"}}"
                            : "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"none\"}";
                case "experiments/create" -> "{\"experiment_id\":\"8\"}";
                case "runs/create" -> "{\"run\":{\"info\":{\"run_id\":\"r1\",\"run_uuid\":\"r1\"},\"data\":{}}}";
                default -> "{}";
            };
            boolean missing = path.equals("experiments/get-by-name") && !experimentExists;
            byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(refuses ? 403 : missing ? 404 : 200, bytes.length);
            exchange.getResponseBody().write(bytes);
            exchange.close();
        });
        server.start();
    }

    @AfterEach
    void stopServer() {
        server.stop(0);
    }

    private MlflowSink sink() {
        return new MlflowSink(
                new MlflowConfig("http://127.0.0.1:" + server.getAddress().getPort(), "mor"));
    }

    private MetricSink.Run run(long firstStep) {
        return new MetricSink.Run(
                "my run", folder, Map.of("metrics.sinks[0].type", "mlflow", "training.steps", "10"), firstStep);
    }

    private List<String> bodies(String path) {
        return requests.stream()
                .filter(request -> request.path().equals(path))
                .map(Request::body)
                .toList();
    }

    private static void assertHas(String text, String... parts) {
        String dense = text.replaceAll("\\s", "");
        for (String part : parts) {
            assertTrue(dense.contains(part), () -> part + " in " + dense);
        }
    }

    @Test
    void aRunItsConfigAndItsFiguresReachTheServer() throws IOException {
        try (MlflowSink sink = sink()) {
            assertEquals(List.of(), requests, "nothing is sent before a run begins");
            sink.begin(run(0));
            sink.record(0, Map.of("cross-entropy", 5.5, "broken", Double.NaN));
            sink.record(1, Map.of("cross-entropy", 5.25));
        }
        assertHas(bodies("experiments/create").getFirst(), "\"name\":\"mor\"");
        assertHas(bodies("runs/create").getFirst(), "\"8\"");
        assertHas(bodies("runs/set-tag").getFirst(), "mlflow.runName", "myrun");
        List<String> batches = bodies("runs/log-batch");
        assertHas(batches.getFirst(), "\"r1\"", "metrics.sinks.0.type", "training.steps", "\"10\"");
        assertHas(batches.getLast(), "\"cross-entropy\"", "5.5", "5.25");
        assertFalse(batches.getLast().contains("broken"), "what is not finite is not sent");
        assertEquals(2, batches.size(), "figures are sent together");
        assertHas(bodies("runs/update").getFirst(), "\"r1\"", "FINISHED");
        assertEquals("r1\n", Files.readString(folder.resolve(MlflowSink.RUN_FILE)));
    }

    @Test
    void aResumedRunGoesOnInTheRunThatItBegan() throws IOException {
        experimentExists = true;
        try (MlflowSink sink = sink()) {
            sink.begin(run(0));
        }
        assertEquals(List.of(), bodies("experiments/create"));
        try (MlflowSink sink = sink()) {
            sink.begin(run(5));
            sink.record(5, Map.of("cross-entropy", 4.0));
        }
        assertEquals(1, bodies("runs/create").size());
        assertHas(bodies("runs/log-batch").getLast(), "\"r1\"", "\"cross-entropy\"", "4");
    }

    @Test
    void aServerThatRefusesOrIsNotThereIsAFailureThatNamesIt() throws IOException {
        refuses = true;
        IOException refused = assertThrows(IOException.class, () -> sink().begin(run(0)));
        assertTrue(
                refused.getMessage().contains("127.0.0.1")
                        && refused.getMessage().contains("metrics.sinks"),
                refused.getMessage());
        server.stop(0);
        assertThrows(IOException.class, () -> sink().begin(run(0)));
    }

    @Test
    void thereIsNoServerUnlessAConfigNamesOne() {
        assertThrows(NullPointerException.class, () -> new MlflowConfig(null, "mor"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> new MlflowConfig("databricks", "mor"))
                .getMessage()
                .contains("http://"));
        assertThrows(IllegalStateException.class, () -> sink().record(0, Map.of()));
    }
}
