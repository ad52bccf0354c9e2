package io.mor.report;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The DevTools protocol over one web socket: commands with their answers, and all events in their order. */
final class DevTools {

    private static final long SECONDS = 60;
    private static final JsonMapper MAPPER = JsonMapper.builder().build();

    private final WebSocket socket;
    private final AtomicLong last = new AtomicLong();
    private final Map<Long, CompletableFuture<JsonNode>> waiting = new ConcurrentHashMap<>();
    private final List<JsonNode> events = new CopyOnWriteArrayList<>();

    DevTools(HttpClient http, URI address) {
        this.socket =
                http.newWebSocketBuilder().buildAsync(address, new Listener()).join();
    }

    private final class Listener implements WebSocket.Listener {

        private final StringBuilder parts = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket webSocket, CharSequence data, boolean whole) {
            parts.append(data);
            if (whole) {
                receive(MAPPER.readTree(parts.toString()));
                parts.setLength(0);
            }
            webSocket.request(1);
            return null;
        }

        @Override
        public void onError(WebSocket webSocket, Throwable error) {
            waiting.values().forEach(each -> each.completeExceptionally(error));
        }

        @Override
        public CompletionStage<?> onClose(WebSocket webSocket, int status, String reason) {
            waiting.values()
                    .forEach(each -> each.completeExceptionally(new IllegalStateException("Chromium has gone")));
            return null;
        }
    }

    private void receive(JsonNode message) {
        if (message.has("id")) {
            CompletableFuture<JsonNode> answer =
                    waiting.remove(message.get("id").asLong());
            if (answer != null) {
                answer.complete(message);
            }
        } else {
            events.add(message);
        }
    }

    /** An empty object for a command's parameters. */
    static ObjectNode parameters() {
        return MAPPER.createObjectNode();
    }

    /**
     * Sends a command and waits for its result.
     *
     * @param session of a tab; empty for the browser
     */
    JsonNode send(String session, String method, ObjectNode parameters) throws InterruptedException {
        long id = last.incrementAndGet();
        ObjectNode message = MAPPER.createObjectNode();
        message.put("id", id).put("method", method).set("params", parameters);
        if (!session.isEmpty()) {
            message.put("sessionId", session);
        }
        CompletableFuture<JsonNode> answer = new CompletableFuture<>();
        waiting.put(id, answer);
        socket.sendText(MAPPER.writeValueAsString(message), true).join();
        try {
            JsonNode found = answer.get(SECONDS, TimeUnit.SECONDS);
            if (found.has("error")) {
                throw new IllegalStateException(method + ": " + found.get("error"));
            }
            return found.path("result");
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException(method + " got no answer", e);
        }
    }

    /** Events of a session so far. */
    List<JsonNode> events(String session) {
        return events.stream()
                .filter(event -> event.path("sessionId").asString("").equals(session))
                .toList();
    }

    /** Asks the browser to end. */
    void close() throws InterruptedException {
        try {
            send("", "Browser.close", parameters());
        } catch (IllegalStateException alreadyGone) {
            socket.abort();
        }
    }
}
